/** A line: the first in is the first out. `Array.shift` would move all others, each time. */

/** How many places must be free before what is behind them is moved: for fewer it is not worth a call. */
const MOVE_MIN = 64;

/** A line of items. */
export class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  /** How many stand in it. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Puts an item at its end. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** The item at its front, which stays there. */
  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Takes the item at its front. */
  shift(): Item | undefined {
    const item = this.#items[this.#head];
    if (this.length === 0) {
      return undefined;
    }
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= MOVE_MIN && this.#head * 2 >= this.#items.length) {
      // What is behind is moved only when as much is free, so moving costs each item little.
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes all items. */
  drain(): Item[] {
    const items = this.#items.slice(this.#head) as Item[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
