//! Waiting for one thing, until another happens.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use tokio::time::timeout;

use crate::clock::Deadline;

/// What the future gives, or `None` if the time is over first.
pub(super) async fn within<F: Future>(deadline: Deadline, future: F) -> Option<F::Output> {
    timeout(deadline.left()?, future).await.ok()
}

/// What the future gives, or `None` if the other one ends first.
pub(super) async fn unless<F: Future>(other: impl Future, future: F) -> Option<F::Output> {
    let (mut other, mut future) = (pin!(other), pin!(future));
    poll_fn(|context| match other.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(context).map(Some),
    })
    .await
}
