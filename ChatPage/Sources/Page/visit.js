// SPDX-License-Identifier: MIT
//
// One person's stay in one room: gate -> connector -> enter, and back again by itself when the connection is lost.

import { PomeloClient } from '/client.js';

/** A lost session keeps its name taken until its server's lease has run out; then there is some slack. */
export const reentrySeconds = 10 + 4;
const pauses = { first: 0.4, growth: 1.7, longest: 5, reentry: 1, list: 1, stale: 2 };
/** While the servers find each other again after a loss, a room is closed for this long at most. */
const settlingSeconds = 5;

/** A server said no, in words for people; `final` when waiting will not help. */
export class Refusal extends Error {
  constructor(message, { final }) {
    super(message);
    this.final = final;
  }
}

/** One person's stay in one room, across any number of connections. */
export class Visit {
  #gate = null;
  #timers;
  #client = null;
  #over = false;
  /** What was pushed while a list is on its way; null when none is. */
  #held = null;

  constructor({ name, room, timers, report }) {
    Object.assign(this, { name, room, report });
    this.#timers = timers;
  }

  /** Enters for the first time; throws if that does not work, while the name is taken only after its patience. */
  async start(gate, patienceSeconds) {
    this.#gate = gate;
    this.report.state('connecting');
    try {
      await this.#enter(patienceSeconds);
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
    this.#held = null;
    this.report.state('away');
  }

  // ---- inside

  async #enter(patienceSeconds) {
    const { host, port, id, tls } = await this.#askGate();
    if (this.#over) throw new Error('left while entering');
    const client = this.#newClient();
    this.#client = client;
    // What is pushed in the same frame as the answer arrives before the answer's `await` does: hold it back.
    this.#held = [];
    const whenListed = (tell) => (pushed) => (this.#held === null ? tell(pushed) : this.#held.push(() => tell(pushed)));
    try {
      await client.init(host, port, { tls });
      client.on('onChat', whenListed((said) => this.report.said(said)));
      client.on('onAdd', whenListed(({ user }) => this.report.joined(user)));
      client.on('onLeave', whenListed(({ user }) => this.report.left(user)));
      client.on('onGap', whenListed(() => {
        this.report.gap();
        this.#listAgain(client);
      }));
      client.on('kick', () => this.#stopTrying('The server closed your session.'));
      const { users, stale, last } = await this.#enterRoom(client, patienceSeconds);
      if (!client.connected) throw new Error('lost while entering');
      client.on('disconnect', () => this.#lost());
      this.report.entered(users, id ?? `${host}:${port}`, `${host}:${port}`, last);
      this.report.state('online');
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
