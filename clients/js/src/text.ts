/** Texts that came from somebody else, made safe to show. */

// Control characters can move the cursor, line separators can forge a line, and directional marks can change
// the order in which a text is shown.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const ODD = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/** Whether every character of the text stays on its line and in its place. */
export function isPlain(text: string): boolean {
  return !ODD.test(text);
}

/** The text in one line: each character that is not plain is written as its escape, such as `\u{a}`. */
export function plain(text: string): string {
  return isPlain(text)
    ? text
    : text.replace(new RegExp(ODD, 'gu'), (odd) => `\\u{${(odd.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The text in quotes and in one line. */
export function quoted(text: string): string {
  return `"${plain(text).replaceAll('"', '\\"')}"`;
}

/** Whether the text holds a control character, which the name of a cluster may not. */
export function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
