/** The Java client of Ipseity: unique, increasing 64-bit identities. It depends on nothing. */
module ipseity {
  exports ipseity;
}
