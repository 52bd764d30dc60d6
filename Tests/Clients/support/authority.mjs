// SPDX-License-Identifier: MIT
//
// An authority of our own, and a certificate of it for localhost.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Skip } from './people.mjs';

/** Calls with `{ folder, authority, tls }`: a temporary folder, the authority's file, and what a server shows. */
export async function withCertificate(use, tools = ['openssl']) {
  for (const tool of tools) {
    if (spawnSync(tool, ['version']).error !== undefined) throw new Skip(`no ${tool}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'chat-tls-'));
  try {
    makeCertificate(folder);
    const tls = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') };
    await use({ folder, authority: join(folder, 'ca.pem'), tls });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function run(folder, command, ...words) {
  const { status, stderr } = spawnSync(command, words, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${command}: ${stderr}`);
}

function makeCertificate(folder) {
  const key = (file) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
  const make = (...words) => run(folder, 'openssl', 'req', '-x509', '-days', '30', ...words);
  make('-subj', '/CN=Lesson authority', ...key('ca.key'), '-out', 'ca.pem');
  make(
    '-subj', '/CN=localhost', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-addext', 'subjectAltName=DNS:localhost',
    '-addext', 'basicConstraints=critical,CA:FALSE', ...key('server.key'), '-out', 'server.pem');
}
