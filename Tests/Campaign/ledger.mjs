// SPDX-License-Identifier: MIT
//
// What the clients of a campaign count: every message, and everything that must not happen.

import { appendFileSync } from 'node:fs';

/** What is counted, and what each means; all of them must be 0. */
export const rules = {
  lost: 'acknowledged to the sender, and not delivered to a member who was in the room the whole time',
  untold: 'the same at a connector that was stopped, and the member was not told of a gap',
  doubled: 'delivered twice to one session',
  reordered: 'delivered after a newer message of the same sender, and not answered with an error',
  unanswered: 'a request without an answer within 35 s',
  misannounced: 'onLeave for somebody who is there, and no onAdd when a server is back whose lease was over',
  wrongLists: 'a list of members that has somebody too many or too few when all is quiet',
  closed: 'a connection that a server closed and had no reason to',
  stranded: 'a client that did not get back in',
  offline: '404 for a message to somebody who was there the whole time',
  ghosts: 'an entry in Redis that is missing or too many when all is quiet',
  exits: 'a server that ended by itself',
  usurped: 'a second process that took the id of a living server',
};

/** How long after its acknowledgement a message may arrive. */
const graceMs = 5000;

export class Ledger {
  #file;
  #servers;
  #messages = new Map();
  #judged = new Map();
  counts = Object.fromEntries(Object.keys(rules).map((rule) => [rule, 0]));
  /** What is no fault, yet says that something went on. */
  seen = { sent: 0, acknowledged: 0, refused: 0, deliveries: 0, told: 0, gaps: 0, reconnects: 0 };

  constructor(file, servers) {
    this.#file = file;
    this.#servers = servers;
  }

  count(rule, detail) {
    this.counts[rule] += 1;
    this.note(`${rule}: ${detail}`);
  }

  note(text) {
    appendFileSync(this.#file, `${new Date().toISOString().slice(11, 23)} ${text}\n`);
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  // ---- messages

  /** A message leaves its sender; `to` is null when it is for the room. */
  sent(visit, number, to) {
    this.seen.sent += 1;
    const message = {
      id: `${visit.person.name}#${number}`, number, sentAt: Date.now(), ackedAt: null, isRefused: false, got: new Set(),
      from: visit, to,
      // Who is there now, and must have it if still there when it is acknowledged.
      owed: to === null ? [...visit.room.visits] : [to.visit].filter((there) => there !== null),
    };
    this.#messages.set(message.id, message);
    return message;
  }

  answered(message, answer) {
    if (answer.code === undefined) {
      message.ackedAt = Date.now();
      this.seen.acknowledged += 1;
      return;
    }
    this.seen.refused += 1;
    message.isRefused = true;
    if (answer.code !== 404 || message.to === null) return;
    const [there] = message.owed;
    if (there !== undefined && there.isOpen && !this.#wasStopped(there, message.sentAt)) {
      this.count('offline', `${message.to.name} at ${there.connector} for ${message.from.person.name}`);
    }
  }

  received(visit, id) {
    this.seen.deliveries += 1;
    const message = this.#messages.get(id) ?? this.#judged.get(id);
    if (message === undefined) return this.note(`${visit.person.name} got ${id}, long after it was sent`);
    if (message.got.has(visit)) this.count('doubled', `${id} at ${visit}`);
    message.got.add(visit);
    const sender = message.from.person.name;
    const newest = visit.newest.get(sender) ?? 0;
    // Its server stopped in the middle of it, and the next one's was asked: its sender knows that much.
    if (message.number < newest && !message.isRefused) {
      const age = Date.now() - message.sentAt;
      this.count('reordered', `${id} after #${newest} at ${visit}, ${age} ms old, acknowledged ${message.ackedAt !== null}`);
    }
    visit.newest.set(sender, Math.max(newest, message.number));
  }

  /** Judges all messages that are old enough; called when nothing is on its way. */
  judgeMessages() {
    const judged = new Map();
    for (const [id, message] of this.#messages) {
      if (Date.now() - message.sentAt < graceMs) continue;
      this.#messages.delete(id);
      judged.set(id, message);
      if (message.ackedAt !== null) this.#judge(message);
    }
    this.#judged = judged;
  }

  #judge(message) {
    for (const visit of message.owed) {
      const stayed = visit.isOpen || visit.closedAt > message.ackedAt + graceMs;
      if (!stayed || message.got.has(visit)) continue;
      const what = `${message.id} to ${message.to === null ? 'all' : 'one'} at ${visit}, sent ${time(message.sentAt)}`;
      if (!this.#wasStopped(visit, message.sentAt)) this.count('lost', what);
      // Who has lost the connection meanwhile knows.
      else if (!visit.isOpen || visit.gaps.some((gap) => gap >= message.sentAt)) this.seen.told += 1;
      else this.count('untold', what);
    }
  }

  /** Whether the connector of a visit was stopped at a time, or about it. */
  #wasStopped(visit, moment) {
    return this.#servers.faults(visit.connector, visit.openedAt)
      .some((fault) => fault.begin <= moment + graceMs && moment <= fault.end + graceMs);
  }

  // ---- connections and lists

  /** A visit has ended, and not because the client wanted it to. */
  ended(visit, reason) {
    const faults = this.#servers.faults(visit.connector, visit.openedAt);
    const isKilled = faults.some((fault) => fault.kind === 'kill');
    // A client gives up a server that is stopped for long; a server that wakes must not give up a client.
    const gaveUp = reason === 'heartbeat timeout' && faults.length > 0;
    if (isKilled || gaveUp) this.seen.reconnects += 1;
    else this.count('closed', `${visit}: ${reason}${faults.length > 0 ? ', after its server was stopped' : ''}`);
  }

  /** A visit is told that somebody left. */
  heardLeave(visit, person) {
    const theirs = person?.visit;
    if (theirs == null) return;
    const age = Date.now() - theirs.enteredAt;
    const wasStopped = this.#wasStopped(theirs, Date.now());
    setTimeout(() => {
      if (!visit.isOpen || !theirs.isOpen || this.#servers.faults(visit.connector, visit.openedAt).length > 0) return;
      // Two connections are not read in the order in which the server wrote: of one who has just come, the list tells;
      // and of one whose server stood still until its lease was over, and is back.
      if ((age < 1000 || wasStopped) && visit.users.has(theirs.person.name)) return;
      this.count('misannounced', `${theirs}, there for ${age} ms, to ${visit}`);
    }, 2000).unref();
  }

  /** Compares what everybody in a room believes with who is there. */
  judgeLists(rooms) {
    for (const room of rooms) {
      const there = room.names;
      for (const visit of room.visits) {
        const wrong = differences(visit.users, there);
        if (wrong !== '') this.count('wrongLists', `${visit} ${wrong}`);
        visit.users = new Set(there);
      }
    }
  }

  /** Whether everybody's list is right. */
  listsAreRight(rooms) {
    return rooms.every((room) => {
      const there = room.names;
      return [...room.visits].every((visit) => differences(visit.users, there) === '');
    });
  }
}

export function differences(found, expected) {
  const missing = [...expected].filter((name) => !found.has(name));
  const extra = [...found].filter((name) => !expected.has(name));
  return [
    missing.length > 0 ? `lacks ${missing.join(' ')}` : '', extra.length > 0 ? `has ${extra.join(' ')} too many` : '',
  ].filter((part) => part !== '').join(', ');
}

function time(moment) {
  return new Date(moment).toISOString().slice(11, 23);
}
