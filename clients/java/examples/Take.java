import ipseity.Block;
import ipseity.Client;
import ipseity.Identity;
import ipseity.IpseityException;

/** Takes identities, one and several, and shows their forms. */
public class Take {
  private Take() {}

  public static void main(String[] servers) throws InterruptedException {
    try (Client client = Client.open(servers)) {
      long one = client.next();
      Identity identity = new Identity(one);
      System.out.println(
          identity + " is sequence " + identity.sequence() + " of pid " + identity.pid());
      System.out.println(identity.hex() + " " + identity.pair() + " " + identity.base32());

      Block block = client.block(3);
      for (long next : block) {
        System.out.println(next > one ? "greater" : "NOT GREATER");
      }

      // This one came in a message from another program, say.
      long seen = block.last() + 1_000_000;
      client.observe(seen);
      System.out.println(client.next() > seen ? "greater" : "NOT GREATER");
    } catch (IpseityException e) {
      System.err.println(e.getMessage());
      System.exit(1);
    }
  }
}
