// SPDX-License-Identifier: MIT
//
// Names of people and rooms: what they may be, and what is kept of them over a reload.

/** The server's: scalars, as it counts them, and the two marks that part its keys. */
const longest = 20;
const forbidden = /[*:]/g;
const key = 'pomelo-chat';

/** Keeps a field within what the server takes, and says why in the `note` beside it. */
export function limit(field, note) {
  const check = () => {
    const { text, caret, why } = within(field.value, field.selectionStart);
    note.textContent = why;
    if (text === field.value) return;
    field.value = text;
    field.setSelectionRange(caret, caret);
  };
  // What an input method still composes is not cut under its hands.
  field.addEventListener('input', (event) => { if (!event.isComposing) check(); });
  field.addEventListener('compositionend', check);
}

/** What is too much is cut where it was put in, before the caret, and not from the end of what was there. */
function within(text, caret) {
  const before = [...text.slice(0, caret).replaceAll(forbidden, '')];
  const after = [...text.slice(caret).replaceAll(forbidden, '')];
  const excess = Math.max(0, before.length + after.length - longest);
  const start = before.slice(0, Math.max(0, before.length - excess)).join('');
  const end = after.slice(0, longest).join('');
  let why = '';
  if (excess > 0) why = `${longest} characters at most.`;
  else if (text.search(forbidden) >= 0) why = '“*” and “:” cannot be used.';
  return { text: start + end, caret: start.length, why };
}

/** What is wrong with a name, or null; for what came into a field without the keyboard. */
export function fault(words) {
  const count = [...words].length;
  if (count < 1 || count > longest) return `must have 1 to ${longest} characters`;
  return words.search(forbidden) >= 0 ? 'must not contain “*” or “:”' : null;
}

/** Name, room, and whether one is inside: the tab's own, over reloads, until it is closed. */
export const memory = {
  /** `{name, room, isInside}`, or null. */
  get() {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null;
    }
  },
  set(stay) {
    try {
      sessionStorage.setItem(key, JSON.stringify(stay));
    } catch {
      // Where storage is forbidden, a reload forgets.
    }
  },
};
