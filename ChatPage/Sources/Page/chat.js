// SPDX-License-Identifier: MIT
//
// The chat page: gate -> connector -> enter, then talk. `Visit` keeps one person in one room and comes back by
// itself when the connection is lost; the rest draws what it reports.

import { PomeloClient } from '/client.js';

/** A lost session keeps its name taken until its server's lease has run out; then there is some slack. */
const reentrySeconds = 10 + 4;
const pauses = { first: 0.4, growth: 1.7, longest: 5, reentry: 1, list: 1, stale: 2 };
/** While the servers find each other again after a loss, a room is closed for this long at most. */
const settlingSeconds = 5;

/** A server said no, in words for people; `final` when waiting will not help. */
class Refusal extends Error {
  constructor(message, { final }) {
    super(message);
    this.final = final;
  }
}

/** One person's stay in one room, across any number of connections. */
class Visit {
  #gate;
  #timers;
  #client = null;
  #over = false;
  /** What was pushed while a list is on its way; null when none is. */
  #held = null;

  constructor({ name, room, gate, timers, report }) {
    Object.assign(this, { name, room, report });
    this.#gate = gate;
    this.#timers = timers;
  }

  /** Enters for the first time; throws if that does not work at once. */
  async start() {
    this.report.state('connecting');
    try {
      await this.#enter(0);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Says something to everyone (`*`) or to one; resolves with the server's answer. */
  say(content, target) {
    if (this.#client === null) return Promise.reject(new Error('not connected'));
    return this.#client.request('chat.chatHandler.send', { content, target, rid: this.room, from: this.name });
  }

  end() {
    this.#over = true;
    this.#client?.disconnect();
    this.#client = null;
    this.report.state('offline');
  }

  // ---- inside

  async #enter(patienceSeconds) {
    const { host, port } = await this.#askGate();
    const client = this.#newClient();
    this.#client = client;
    // What is pushed in the same frame as the answer arrives before the answer's `await` does: hold it back.
    this.#held = [];
    const whenListed = (tell) => (pushed) => (this.#held === null ? tell(pushed) : this.#held.push(() => tell(pushed)));
    try {
      await client.init(host, port);
      client.on('onChat', whenListed((said) => this.report.said(said)));
      client.on('onAdd', whenListed(({ user }) => this.report.joined(user)));
      client.on('onLeave', whenListed(({ user }) => this.report.left(user)));
      client.on('onGap', whenListed(() => this.#listAgain(client)));
      client.on('kick', () => this.#stopTrying('The server closed your session.'));
      const { users, stale } = await this.#enterRoom(client, patienceSeconds);
      if (!client.connected) throw new Error('lost while entering');
      client.on('disconnect', () => this.#lost());
      this.report.state('online');
      this.report.entered(users);
      this.#release();
      if (stale) this.#listLater(client);
    } catch (error) {
      client.disconnect();
      throw error;
    }
  }

  #release() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const tell of held) tell();
  }

  /** Something may be missing: who is here is asked anew, and what comes meanwhile is told after it. */
  async #listAgain(client) {
    if (this.#held !== null) return; // a list is on its way, and is newer than what was missed
    this.#held = [];
    this.report.gap();
    let isStale = false;
    try {
      while (client === this.#client && client.connected) {
        await this.#pause(pauses.list * Math.random()); // spread out: everyone has the same gap
        const answer = await client.request('chat.chatHandler.list', {});
        if (Array.isArray(answer.users)) {
          this.report.listed(answer.users);
          isStale = answer.stale === true;
          break;
        }
      }
    } catch {
      // The connection is lost, and with the next one comes a list.
    }
    if (client === this.#client || this.#client === null) this.#release();
    if (isStale) this.#listLater(client);
  }

  /** A connector did not answer, so that the list may lack some of its guests: it is asked for again. */
  async #listLater(client) {
    await this.#pause(pauses.stale);
    if (client === this.#client && client.connected) await this.#listAgain(client);
  }

  async #askGate() {
    const client = this.#newClient();
    try {
      await client.init(this.#gate.host, this.#gate.port);
      const answer = await client.request('gate.gateHandler.queryEntry', { uid: this.name });
      if (answer.code !== 200) throw new Refusal('No chat server is available now.', { final: false });
      return answer;
    } finally {
      client.disconnect();
    }
  }

  async #enterRoom(client, patienceSeconds) {
    const start = performance.now();
    for (;;) {
      const answer = await client.request('connector.entryHandler.enter', { username: this.name, rid: this.room });
      if (Array.isArray(answer.users)) return answer;
      const patience = answer.code === 503 ? Math.max(patienceSeconds, settlingSeconds) : patienceSeconds;
      if (this.#over || performance.now() >= start + patience * 1000) {
        const message = `“${this.name}” cannot enter now; perhaps the name is taken in this room.`;
        throw new Refusal(message, { final: true });
      }
      await this.#pause(pauses.reentry);
    }
  }

  async #lost() {
    if (this.#over) return;
    this.#client = null;
    this.report.state('reconnecting');
    for (let pause = pauses.first; !this.#over; pause = Math.min(pause * pauses.growth, pauses.longest)) {
      await this.#pause(pause * (0.5 + Math.random())); // spread out: everyone lost the same server at once
      if (this.#over) return;
      try {
        return await this.#enter(reentrySeconds);
      } catch (error) {
        if (error instanceof Refusal && error.final) return this.#stopTrying(error.message);
        this.#client = null;
      }
    }
  }

  #stopTrying(message) {
    if (this.#over) return;
    this.end();
    this.report.refused(message);
  }

  #newClient() {
    return new PomeloClient({ timers: this.#timers, deadlineSeconds: 10 });
  }

  #pause(seconds) {
    return new Promise((resolve) => this.#timers.set(seconds * 1000, resolve));
  }
}

/** Timers that keep their pace in a hidden tab, where the browser slows the page's own: they tick in a worker. */
function steadyTimers() {
  const ticking = 'onmessage = ({ data: [id, ms] }) => setTimeout(postMessage, ms, id)';
  const worker = new Worker(URL.createObjectURL(new Blob([ticking], { type: 'text/javascript' })));
  const actions = new Map();
  let last = 0;
  worker.onmessage = ({ data: id }) => {
    const action = actions.get(id);
    actions.delete(id);
    action?.();
  };
  return {
    set(milliseconds, action) {
      actions.set(++last, action);
      worker.postMessage([last, milliseconds]);
      return last;
    },
    clear: (id) => actions.delete(id),
  };
}

// ---- drawing

const everyone = '*';
const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((node) => [node.id, node]));
const members = new Set();
const timers = steadyTimers();
let visit = null;
let target = everyone;
let lastSpeaker = null;

function element(tag, className, content = '') {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = content;
  return node;
}

function face(name) {
  const node = element('span', 'face', [...name][0].toUpperCase());
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  node.style.setProperty('--hue', hash);
  node.setAttribute('aria-hidden', 'true');
  return node;
}

function drawMembers() {
  page.count.textContent = `· ${members.size}`;
  const names = [...members].sort((a, b) => a.localeCompare(b));
  page.members.replaceChildren(...names.map((name) => {
    const mine = name === visit.name;
    const button = element('button', 'member');
    button.type = 'button';
    button.disabled = mine;
    button.dataset.name = name;
    button.setAttribute('aria-pressed', String(name === target));
    button.title = mine ? '' : `Talk to ${name} alone`;
    button.append(face(name), element('span', '', mine ? `${name} (you)` : name));
    button.addEventListener('click', () => pick(name === target ? everyone : name));
    const item = element('li', '');
    item.append(button);
    return item;
  }));
}

function pick(name) {
  target = name;
  page.target.textContent = name === everyone ? 'everyone' : `${name}, in private`;
  page.everyone.hidden = name === everyone;
  drawMembers();
  page.text.focus();
}

function append(node) {
  const { log } = page;
  const following = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(node);
  while (log.childElementCount > 500) log.firstElementChild.remove();
  if (following) log.scrollTop = log.scrollHeight;
}

function notice(words, bad = false) {
  lastSpeaker = null;
  append(element('li', bad ? 'notice bad' : 'notice', words));
}

function drawSaid({ from, msg, target: to }) {
  const mine = from === visit.name;
  const secret = to !== everyone;
  const speaker = JSON.stringify([from, to]);
  const classes = ['said', mine && 'mine', secret && 'private', speaker === lastSpeaker && 'follows'];
  const node = element('li', classes.filter(Boolean).join(' '));
  const who = mine ? 'you' : from;
  node.append(
    element('span', 'who', secret ? `${who} → ${to === visit.name ? 'you' : to}, in private` : who),
    element('span', 'bubble', typeof msg === 'string' ? msg : JSON.stringify(msg)),
  );
  lastSpeaker = speaker;
  append(node);
}

const report = {
  state(state) {
    page.state.dataset.state = state;
    page.state.textContent = state;
    const online = state === 'online';
    page.text.disabled = page.send.disabled = !online;
    if (state === 'reconnecting') notice('Connection lost. Coming back…');
  },
  entered(users) {
    const returning = !page.house.hidden;
    members.clear();
    for (const user of users) members.add(user);
    page.door.hidden = true;
    page.house.hidden = false;
    page.place.textContent = `${visit.name} in ${visit.room}`;
    notice(returning ? 'You are back.' : `You are in ${visit.room}.`);
    if (target !== everyone && !members.has(target)) target = everyone;
    pick(target);
  },
  gap() {
    notice('Messages may be missing here.', true);
  },
  listed(users) {
    members.clear();
    for (const user of users) members.add(user);
    if (target !== everyone && !members.has(target)) pick(everyone);
    drawMembers();
  },
  joined(user) {
    if (members.has(user)) return;
    members.add(user);
    notice(`${user} came in`);
    drawMembers();
  },
  left(user) {
    if (!members.delete(user)) return;
    notice(`${user} left`);
    if (user === target) pick(everyone);
    drawMembers();
  },
  said: drawSaid,
  refused: goOut,
};

function goOut(problem = '') {
  visit = null;
  lastSpeaker = null;
  target = everyone;
  page.house.hidden = true;
  page.door.hidden = false;
  page.log.replaceChildren();
  page.place.textContent = '';
  page.problem.textContent = problem;
  page.enter.disabled = false;
}

function fault(words) {
  const count = [...words].length;
  if (count < 1 || count > 20) return 'must have 1 to 20 characters';
  return /[*:]/.test(words) ? 'must not contain “*” or “:”' : null;
}

async function enter(event) {
  event.preventDefault();
  const name = page.name.value.trim();
  const room = page.room.value.trim();
  for (const [label, words] of [['Your name', name], ['The room', room]]) {
    const wrong = fault(words);
    if (wrong !== null) {
      page.problem.textContent = `${label} ${wrong}.`;
      return;
    }
  }
  page.problem.textContent = '';
  page.enter.disabled = true;
  try {
    const gate = await (await fetch('/config.json')).json();
    gate.host ??= location.hostname;
    visit = new Visit({ name, room, gate, timers, report });
    await visit.start();
  } catch (error) {
    goOut(error instanceof Refusal ? error.message : 'The server cannot be reached.');
  }
}

async function send(event) {
  event.preventDefault();
  const words = page.text.value;
  const to = target;
  page.text.value = '';
  const stay = visit;
  let answer;
  try {
    answer = await stay.say(words, to);
  } catch {
    answer = { code: 0 };
  }
  if (visit !== stay) return;
  if (answer.code === 404) return notice(`${to} is not here any more.`, true);
  if (answer.code === 503) {
    if (page.text.value === '') page.text.value = words;
    return notice(to === everyone ? 'Not everyone may have got that.' : `${to} may be on the way back: try again.`, true);
  }
  if (answer.code !== undefined) {
    if (page.text.value === '') page.text.value = words;
    return notice('That message could not be sent.', true);
  }
  // The room hears itself; a private message reaches the other side only.
  if (to !== everyone) drawSaid({ from: stay.name, msg: words, target: to });
}

page.entry.addEventListener('submit', enter);
page.composer.addEventListener('submit', send);
page.everyone.addEventListener('click', () => pick(everyone));
page.leave.addEventListener('click', () => {
  visit?.end();
  goOut();
});
report.state('offline');
page.enter.disabled = false;
