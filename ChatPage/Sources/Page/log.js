// SPDX-License-Identifier: MIT
//
// The conversation: a list that follows its end, also while it changes its height, until the reader scrolls up.

const slack = 40;
const longest = 500;
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

export class Log {
  #list;
  #follows = true;
  #lastTop = 0;
  #lastSpeaker = null;

  constructor(list) {
    this.#list = list;
    list.addEventListener('scroll', () => this.#scrolled());
    // A keyboard that opens takes the lower half of the list, where the newest words are.
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  /** Who said what, to everyone or to one (`secret`: the words that say to whom); one's own are always shown. */
  said({ who, words, isMine, secret }) {
    const speaker = JSON.stringify([who, secret]);
    const classes = ['said', isMine && 'mine', secret && 'private', speaker === this.#lastSpeaker && 'follows'];
    const item = element('li', classes.filter(Boolean).join(' '));
    item.append(element('span', 'who', secret || who), element('span', 'bubble', words), now());
    this.#lastSpeaker = speaker;
    this.#append(item, isMine);
  }

  /** What the page itself has to say. */
  notice(words, { isBad = false } = {}) {
    const item = element('li', isBad ? 'notice bad' : 'notice');
    item.append(element('span', '', words), ' ', now());
    this.#lastSpeaker = null;
    this.#append(item, false);
  }

  clear() {
    this.#list.replaceChildren();
    this.#lastSpeaker = null;
    this.#follows = true;
  }

  // ---- inside

  #append(item, isMine) {
    this.#list.append(item);
    while (this.#list.childElementCount > longest) this.#list.firstElementChild.remove();
    if (isMine) this.#follows = true;
    this.#follow();
  }

  #follow() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
    this.#lastTop = this.#list.scrollTop;
  }

  // Only a reader who goes up stops it: the end also moves away when the list grows or becomes lower.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    if (scrollHeight - scrollTop - clientHeight < slack) this.#follows = true;
    else if (scrollTop < this.#lastTop) this.#follows = false;
    this.#lastTop = scrollTop;
  }
}

export function element(tag, className, content = '') {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = content;
  return node;
}

/** When it arrived here; the server sends no times. */
function now() {
  const time = new Date();
  const node = element('time', '', clock.format(time));
  node.dateTime = time.toISOString();
  return node;
}
