//! A verifier that remembers which certificate it refused. rustls keeps only those that were accepted, and an error without
//! the certificate's name helps nobody.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::facts::Facts;

/// A verifier of servers (`dyn ServerCertVerifier`) or of clients (`dyn ClientCertVerifier`) that judges as `inner` does,
/// and remembers the last certificate that was refused. A verifier is called inside of `process_new_packets`, so whoever
/// asks right after that has failed gets the certificate of that connection.
#[derive(Debug)]
pub struct Watched<V: ?Sized> {
    refused: Arc<Mutex<Option<CertificateDer<'static>>>>,
    inner: Arc<V>,
}

impl<V: ?Sized> Watched<V> {
    /// A verifier that judges as this one does.
    pub fn new(inner: Arc<V>) -> Watched<V> {
        let refused = Arc::default();
        Watched { refused, inner }
    }

    /// A verifier that judges as `inner` does, and remembers in the same place as this one.
    pub fn with(&self, inner: Arc<V>) -> Watched<V> {
        let refused = Arc::clone(&self.refused);
        Watched { refused, inner }
    }

    /// Takes the last certificate that was refused. `None` if there was none since it was taken, or if it cannot be
    /// understood at all.
    pub fn take_refused(&self) -> Option<Facts> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        { refused }.take().and_then(|der| Facts::of(&der).ok())
    }

    fn remember<T>(
        &self,
        certificate: &CertificateDer<'_>,
        judged: Result<T, Error>,
    ) -> Result<T, Error> {
        if judged.is_err() {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some(certificate.clone().into_owned());
        }
        judged
    }
}

impl ServerCertVerifier for Watched<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        self.remember(end_entity, judged)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let judged = self
            .inner
            .verify_tls12_signature(message, certificate, signature);
        self.remember(certificate, judged)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let judged = self
            .inner
            .verify_tls13_signature(message, certificate, signature);
        self.remember(certificate, judged)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ClientCertVerifier for Watched<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        self.remember(end_entity, judged)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let judged = self
            .inner
            .verify_tls12_signature(message, certificate, signature);
        self.remember(certificate, judged)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let judged = self
            .inner
            .verify_tls13_signature(message, certificate, signature);
        self.remember(certificate, judged)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
