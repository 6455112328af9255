package ipseity;

/** An address, an option or a text is wrong. Nothing was sent. The program has to be corrected. */
public final class ConfigurationException extends IpseityException {
  private static final long serialVersionUID = 1L;

  ConfigurationException(String message) {
    super(message);
  }

  ConfigurationException(String message, Throwable cause) {
    super(message, cause);
  }

  @Override
  ConfigurationException again() {
    return new ConfigurationException(getMessage(), this);
  }
}
