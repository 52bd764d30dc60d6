// SPDX-License-Identifier: MIT
//
// What makes Chat's messages shorter: a number for each route, and schemas of pomelo-protobuf.

export const send = 'chat.chatHandler.send';

const routes = [
  'chat.chatHandler.list', send, 'connector.entryHandler.enter', 'gate.gateHandler.queryEntry', 'onAdd', 'onChat',
  'onLeave',
];

/** The place of a route is its code. */
export const dictionary = { POMELO_CONNECTOR_DICTIONARY: JSON.stringify(routes) };

const pushes = {
  onAdd: { 'required string user': 1 },
  onLeave: { 'required string user': 1 },
  onChat: { 'required string msg': 1, 'required string from': 2, 'required string target': 3 },
};

const answers = {
  'gate.gateHandler.queryEntry': {
    'optional uInt32 code': 1, 'optional string host': 2, 'optional uInt32 port': 3, 'optional string id': 4,
  },
  'connector.entryHandler.enter': { 'optional uInt32 code': 1, 'repeated string users': 2 },
  [send]: { 'optional uInt32 code': 1 },
};

const requests = {
  'gate.gateHandler.queryEntry': { 'optional string uid': 1 },
  'connector.entryHandler.enter': { 'required string username': 1, 'required string rid': 2 },
  [send]: { 'required string content': 1, 'required string target': 2 },
};

/** A cluster whose messages have schemas; some clients take no answers but JSON. */
export function withSchemas({ hasAnswers = true } = {}) {
  return {
    env: { ...dictionary, POMELO_CONNECTOR_USE_PROTOBUF: 'true' },
    files: { 'clientProtos.json': requests, 'serverProtos.json': hasAnswers ? { ...pushes, ...answers } : pushes },
  };
}
