'use strict'

// npm hypercore 11: a log of reports on disk, and its replication within one process, through a pipe of streams.
//
//   node hypercore.js ingest DIR FILE COUNT     the first COUNT NDJSON lines of FILE as blocks, 1,000 at a time
//   node hypercore.js clone DIR FILE COUNT      the same from one log to another

const path = require('path')
const Hypercore = require('hypercore')
const { busy, lines, now, say } = require('./clock')

const [what, directory, file, argument] = process.argv.slice(2)

async function open (name, key) {
  const core = new Hypercore(path.join(directory, name), key)
  await core.ready()
  return core
}

async function fill (core) {
  const count = Number(argument)
  for await (const batch of lines(file, 1000)) {
    await core.append(batch.slice(0, count - core.length).map((line) => Buffer.from(line)))
    if (core.length === count) break
  }
  return core.length
}

async function ingest () {
  const core = await open('log')
  const begin = [now(), busy()]
  return [await fill(core), begin]
}

async function clone () {
  const source = await open('source')
  const count = await fill(source)
  const copy = await open('copy', source.key)
  const begin = [now(), busy()]
  const stream = source.replicate(true)
  stream.pipe(copy.replicate(false)).pipe(stream)
  await copy.download({ start: 0, end: count }).done()
  if (copy.contiguousLength !== count) throw new Error('not all is there')
  return [count, begin]
}

({ ingest, clone })[what]().then(function ([count, begin]) {
  say({ seconds: [now() - begin[0]], busy: busy() - begin[1] }, count)
  process.exit(0)
}).catch(function (err) {
  console.error(err)
  process.exit(1)
})
