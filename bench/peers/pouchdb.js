'use strict'

// npm PouchDB 9 on its LevelDB adapter: reports as documents, and their replication from one database to another.
//
//   node pouchdb.js ingest DIR FILE COUNT     the first COUNT NDJSON reports of FILE, 1,000 at a time, bulkDocs()
//   node pouchdb.js clone DIR FILE COUNT      the same from one database to another, replicate()

const fs = require('fs')
const path = require('path')
const { busy, lines, now, say } = require('./clock')
const PouchDB = require('pouchdb-core')
  .plugin(require('pouchdb-adapter-leveldb'))
  .plugin(require('pouchdb-replication'))

const [what, directory, file, argument] = process.argv.slice(2)
fs.mkdirSync(directory, { recursive: true })

function open (name) {
  return new PouchDB(path.join(directory, name), { adapter: 'leveldb' })
}

let number = 0

// A document per report: by series and time, so that a range of keys is a history.
function documents (batch) {
  return batch.map(function (line) {
    const report = JSON.parse(line)
    report._id = [report.troop, report.scout, report.report, report.t, number++].join('/')
    return report
  })
}

async function fill (db) {
  const most = Number(argument)
  let count = 0
  for await (const batch of lines(file, 1000)) {
    const wanted = batch.slice(0, most - count)
    await db.bulkDocs(documents(wanted))
    count += wanted.length
    if (count === most) break
  }
  return count
}

async function ingest () {
  const db = open('reports')
  await db.info()
  const begin = [now(), busy()]
  return [await fill(db), begin]
}

async function clone () {
  const source = open('source')
  const count = await fill(source)
  const copy = open('copy')
  await copy.info()
  const begin = [now(), busy()]
  const result = await PouchDB.replicate(source, copy, { batch_size: 1000 })
  if (result.docs_written !== count) throw new Error('not all is there')
  return [count, begin]
}

({ ingest, clone })[what]().then(function ([count, begin]) {
  say({ seconds: [now() - begin[0]], busy: busy() - begin[1] }, count)
  process.exit(0)
}).catch(function (err) {
  console.error(err)
  process.exit(1)
})
