// SPDX-License-Identifier: MIT
//
// One client of a campaign: comes in through the gate, talks, keeps the list of who is there, and comes back whenever
// its connection is lost. It is the page's own client.

import { setTimeout as pause } from 'node:timers/promises';
import { newClient } from '../Clients/support/people.mjs';

const pushes = ['onChat', 'onAdd', 'onLeave', 'onGap'];
const answerSeconds = 35;
const connectSeconds = 5;
/** Who leaves stays away for longer than the news of it may take. */
const staleSeconds = 2;
const awaySeconds = 3;

/** A room and who is in it, as the clients know. */
export class Room {
  people = new Map();

  constructor(name) {
    this.name = name;
  }

  get visits() {
    return new Set([...this.people.values()].map((person) => person.visit).filter((visit) => visit !== null));
  }

  get names() {
    return new Set([...this.visits].map((visit) => visit.person.name));
  }
}

/** One connection that is in a room. */
class Visit {
  users = new Set();
  isStale = false;
  /** What is heard while a list is on its way belongs behind it. */
  held = [];
  newest = new Map();
  gaps = [];
  isOpen = true;
  openedAt = Date.now();
  enteredAt = Infinity;
  closedAt = Infinity;

  constructor(person, connector) {
    Object.assign(this, { person, connector, room: person.room, client: newClient(answerSeconds) });
  }

  toString() {
    return `${this.person.name} of ${this.room.name} at ${this.connector}`;
  }
}

export class Person {
  /** Where the person is, if in the room. */
  visit = null;
  #world;
  #messages = 0;
  #wantsToLeave = false;

  constructor(world, name, room) {
    this.#world = world;
    this.name = name;
    this.room = room;
    room.people.set(name, this);
  }

  /** Is in the room, again and again, until the world is over. */
  async live() {
    for (let wait = 0.3; !this.#world.isOver; ) {
      try {
        const visit = await this.#enter();
        wait = 0.3;
        await this.#stay(visit);
      } catch (error) {
        this.#world.ledger.note(`${this.name} cannot enter: ${error.message}`);
        wait = Math.min(wait * 1.7, 3);
      }
      await pause(wait * (500 + this.#world.random() * 1000));
    }
  }

  /** Says something every so often. */
  async talk(seconds) {
    while (!this.#world.isOver) {
      await pause(seconds * (500 + this.#world.random() * 1000));
      if (this.#world.isQuiet || this.visit === null) continue;
      if (this.#world.random() < 0.005) this.#leave();
      else await this.#say();
    }
  }

  disconnect() {
    this.#wantsToLeave = true;
    this.visit?.client.disconnect();
  }

  // ---- inside

  async #enter() {
    const { host, port } = await askGate(this.#world.servers.gate, this.name);
    const visit = new Visit(this, this.#world.servers.connectorAt(port));
    const { client } = visit;
    for (const route of pushes) {
      client.on(route, (body) => {
        // Judged by who is there when it comes, not when the list before it has come.
        if (route === 'onLeave') this.#world.ledger.heardLeave(visit, this.room.people.get(body.user));
        if (route === 'onChat' || visit.held === null) this.#hear(visit, route, body);
        else visit.held.push(() => this.#hear(visit, route, body));
      });
    }
    try {
      await withinSeconds(connectSeconds, client, client.init(host, port));
      const body = { username: this.name, rid: this.room.name };
      const answer = await this.#ask(visit, 'connector.entryHandler.enter', body);
      if (!Array.isArray(answer?.users)) throw new Error(`answered ${JSON.stringify(answer)}`);
      if (!client.connected) throw new Error('lost while entering');
      visit.users = new Set(answer.users);
      visit.isStale = answer.stale === true;
    } catch (error) {
      client.disconnect();
      throw error;
    }
    visit.enteredAt = Date.now();
    this.visit = visit;
    release(visit);
    if (visit.isStale) this.#refreshLater(visit);
    return visit;
  }

  /** Resolves when the visit has ended, and a pause after it if the person wanted it to. */
  async #stay(visit) {
    const { reason } = await new Promise((resolve) => visit.client.on('disconnect', resolve));
    visit.isOpen = false;
    visit.closedAt = Date.now();
    this.visit = null;
    if (!this.#wantsToLeave) return this.#world.ledger.ended(visit, reason);
    this.#wantsToLeave = false;
    await pause(awaySeconds * 1000);
  }

  #leave() {
    this.#wantsToLeave = true;
    this.visit.client.disconnect();
  }

  #hear(visit, route, body) {
    const { ledger } = this.#world;
    switch (route) {
      case 'onChat': return ledger.received(visit, body.msg);
      case 'onAdd': return visit.users.add(body.user);
      case 'onLeave': return visit.users.delete(body.user);
      default: return this.#refresh(visit);
    }
  }

  /** Something was missed: the list is asked for anew. */
  async #refresh(visit) {
    visit.gaps.push(Date.now());
    this.#world.ledger.seen.gaps += 1;
    visit.held = [];
    while (visit.isOpen) {
      await pause(this.#world.random() * 1000);
      const answer = await this.#ask(visit, 'chat.chatHandler.list', {});
      if (!Array.isArray(answer?.users)) continue;
      visit.users = new Set(answer.users);
      visit.isStale = answer.stale === true;
      break;
    }
    release(visit);
    if (visit.isStale) this.#refreshLater(visit);
  }

  /** A connector did not answer, so that the list may lack some of its guests. */
  async #refreshLater(visit) {
    await pause(staleSeconds * 1000);
    if (visit.isOpen && visit.held === null) await this.#refresh(visit);
  }

  async #say() {
    const { visit, room } = this;
    const others = [...room.people.values()].filter((person) => person !== this && person.visit !== null);
    const to = this.#world.random() < 0.15 ? others[Math.floor(this.#world.random() * others.length)] ?? null : null;
    const message = this.#world.ledger.sent(visit, (this.#messages += 1), to);
    const body = { content: message.id, target: to === null ? '*' : to.name };
    const answer = await this.#ask(visit, 'chat.chatHandler.send', body);
    if (answer !== null) this.#world.ledger.answered(message, answer);
  }

  /** The answer to a request, or null when the connection was lost before. */
  async #ask(visit, route, body) {
    try {
      return await visit.client.request(route, body);
    } catch (error) {
      if (error.code === 'timeout') this.#world.ledger.count('unanswered', `${route} of ${visit}`);
      return null;
    }
  }
}

/** Hears what was held back. */
function release(visit) {
  const held = visit.held;
  visit.held = null;
  for (const hear of held) hear();
}

/** Asks the gate where a name shall connect. */
export async function askGate(gate, uid) {
  const client = newClient(connectSeconds);
  try {
    await client.init(gate.host, gate.port);
    const answer = await client.request('gate.gateHandler.queryEntry', { uid });
    if (answer.code !== 200) throw new Error(`the gate answered ${JSON.stringify(answer)}`);
    return answer;
  } finally {
    client.disconnect();
  }
}

async function withinSeconds(seconds, client, work) {
  const impatience = setTimeout(() => client.disconnect(), seconds * 1000);
  try {
    return await work;
  } finally {
    clearTimeout(impatience);
  }
}
