// SPDX-License-Identifier: MIT
//
// Clients in C, as published: libpomelo2 and libpitaya, each from the folder that an environment variable names (a
// checkout), built here with the system's libuv, OpenSSL and zlib, and told what to do by the programs in c/.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withCertificate } from './support/authority.mjs';
import { dictionary, withSchemas } from './support/codes.mjs';
import { live } from './support/life.mjs';
import { Skip } from './support/people.mjs';
import { Program } from './support/program.mjs';

const clients = {
  libpomelo2: { variable: 'POMELO_LIBPOMELO2', libraries: ['uv', 'ssl', 'crypto', 'm', 'pthread'] },
  libpitaya: { variable: 'POMELO_LIBPITAYA', libraries: ['uv', 'ssl', 'crypto', 'z', 'm', 'pthread'] },
};

export const tests = {
  'libpomelo2, TCP': (world) => overTCP(world, 'libpomelo2'),
  'libpomelo2, TCP, with the route dictionary': (world) => overTCP(world, 'libpomelo2', { env: dictionary }),
  // It takes every answer for JSON, whatever a schema says.
  'libpomelo2, TCP, with schemas': (world) => overTCP(world, 'libpomelo2', withSchemas({ hasAnswers: false })),
  'libpomelo2, TLS': (world) => overTLS(world, 'libpomelo2'),
  'libpitaya, TCP': (world) => overTCP(world, 'libpitaya'),
  'libpitaya, TLS': (world) => overTLS(world, 'libpitaya'),
};

function overTCP(world, name, cluster = {}) {
  const program = build(world, name);
  return live(world, {
    folder: `Chat-${name}`,
    comesBack: true,
    cluster,
    connect: (host, port) => new Program(program, [host, String(port)]),
  });
}

function overTLS(world, name) {
  const program = build(world, name);
  return withCertificate(({ authority, tls }) => live(world, {
    folder: `Chat-${name}-TLS`,
    comesBack: true,
    cluster: { tls },
    connect: (host, port) => new Program(program, [host, String(port), authority]),
  }));
}

/** The program's path; it is built anew by every run, in seconds. */
function build({ root }, name) {
  const { variable, libraries, program } = clients[name];
  const checkout = process.env[variable];
  if (!checkout) throw new Skip('not given');
  if (program !== undefined) return program;
  const folder = join(root, '.build', 'clients', name);
  mkdirSync(folder, { recursive: true });
  const sources = ['src', 'src/tr/uv', 'src/tr/dummy'].flatMap((part) => {
    const files = readdirSync(join(checkout, part)).filter((file) => file.endsWith('.c'));
    return files.map((file) => join(checkout, part, file));
  });
  const flags = ['-O1', '-g', '-D_GNU_SOURCE', `-I${join(checkout, 'include')}`, `-I${join(checkout, 'src')}`];
  // Whatever a newer compiler says of theirs, it is as published; of ours we want to hear.
  const objects = sources.map((file) => compile(file, folder, [...flags, '-w']));
  const ours = fileURLToPath(new URL(`c/${name}.c`, import.meta.url));
  objects.push(compile(ours, folder, [...flags, '-Wall', '-Wextra', '-Werror']));
  clients[name].program = join(folder, name);
  run('cc', '-o', clients[name].program, ...objects, ...libraries.map((library) => `-l${library}`));
  return clients[name].program;
}

function compile(file, folder, flags) {
  const object = join(folder, basename(file).replace(/c$/, 'o'));
  run('cc', ...flags, '-c', file, '-o', object);
  return object;
}

function run(command, ...words) {
  const { status, stderr, error } = spawnSync(command, words, { encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${words.join(' ')}: ${error?.message ?? stderr}`);
}
