'use strict'

// pinoccio-db 0.0.5, timed, as it comes but for its leveldown 0.10, which builds on no Node of today: 5.6.0 is the last
// that takes the ranges it asks for, and brings ready-made binaries.
//
//   node pinoccio.js ingest DIR FILE CHUNK     the NDJSON reports of FILE, CHUNK at a time, each chunk awaited
//   node pinoccio.js report DIR FILE COUNT     the first COUNT of them, parsed beforehand, one at a time
//   node pinoccio.js history DIR FILE          every point of every series that FILE names, through stats()
//   node pinoccio.js last DIR FILE COUNT       COUNT last values, by a get() of its LevelDB: its own get() reads a scout

const fs = require('fs')
const { busy, lines, now, say } = require('./clock')
const open = require('pinoccio-db')

console.log = function () {} // pinoccio-db tells of every troop that it writes

const [what, directory, file, argument] = process.argv.slice(2)
const db = open(directory)

// What saveReportsStream() writes to: tells when all is stored that it was given.
let stored = null
const createWriteStream = db.db.createWriteStream
db.db.createWriteStream = function () {
  const stream = createWriteStream.apply(this, arguments)
  stream.setMaxListeners(0)
  stream.on('finish', function () { stored() })
  return stream
}

function save (reports) {
  return new Promise(function (resolve, reject) {
    stored = resolve
    const stream = db.saveReportsStream()
    stream.on('error', reject)
    for (const report of reports) stream.write(report)
    stream.end()
  })
}

function troop () {
  return new Promise((resolve, reject) => db.writeTroop({ id: 1 }, (err) => err ? reject(err) : resolve()))
}

async function ingest () {
  let count = 0
  const begin = [now(), busy()]
  for await (const chunk of lines(file, Number(argument))) {
    await save(chunk.map(JSON.parse))
    count += chunk.length
  }
  return [count, begin]
}

function parsed () {
  return fs.readFileSync(file, 'utf8').trimEnd().split('\n').map(JSON.parse)
}

async function report () {
  const reports = parsed().slice(0, Number(argument))
  const begin = [now(), busy()]
  for (const one of reports) await save([one])
  return [reports.length, begin]
}

function series () {
  const found = new Map()
  for (const one of parsed()) found.set(one.scout + '/' + one.report, one)
  return Array.from(found.values())
}

async function history () {
  const all = series()
  let count = 0
  const begin = [now(), busy()]
  for (const one of all) {
    await new Promise(function (resolve, reject) {
      const stream = db.stats(one.troop, one.scout, one.report)
      stream.on('data', function (point) { if (point.data !== undefined) count++ })
      stream.on('end', resolve)
      stream.on('error', reject)
    })
  }
  return [count, begin]
}

async function last () {
  const all = series()
  const count = Number(argument)
  const begin = [now(), busy()]
  for (let i = 0; i < count; i++) {
    const one = all[i * 7919 % all.length]
    await new Promise(function (resolve, reject) {
      const key = ['troops', one.troop, one.scout, 'r', one.report].join('ÿ')
      db.db.get(key, (err, point) => err ? reject(err) : resolve(point))
    })
  }
  return [count, begin]
}

troop().then({ ingest, report, history, last }[what]).then(function ([count, begin]) {
  say({ seconds: [now() - begin[0]], busy: busy() - begin[1] }, count)
}).catch(function (err) {
  console.error(err)
  process.exit(1)
})
