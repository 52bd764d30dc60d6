// SPDX-License-Identifier: MIT
//
// What makes Chat's messages shorter: a number for each route.

export const send = 'chat.chatHandler.send';

const routes = [
  'chat.chatHandler.list', send, 'connector.entryHandler.enter', 'gate.gateHandler.queryEntry', 'onAdd', 'onChat',
  'onLeave',
];

/** The place of a route is its code. */
export const dictionary = { POMELO_CONNECTOR_DICTIONARY: JSON.stringify(routes) };
