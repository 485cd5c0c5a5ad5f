'use strict'

// npm dat-replication-protocol 4.1.2: Changes into a stream and out of it.
//
//   node dat.js encode|decode FILE REPEATS      FILE: Changes as a stream

const fs = require('fs')
const { repeat, say } = require('./clock')
const dat = require('dat-replication-protocol')

const [what, file, repeats] = process.argv.slice(2)
const data = fs.readFileSync(file)

function decode (each) {
  return new Promise(function (resolve, reject) {
    const decoder = dat.decode()
    decoder.change(function (change, cb) {
      each(change)
      cb()
    })
    decoder.finalize(function (cb) {
      cb()
      resolve()
    })
    decoder.on('error', reject)
    decoder.write(data)
    decoder.end()
  })
}

const changes = []
let count = 0
let bytes = 0

function encodeAll () {
  return new Promise(function (resolve, reject) {
    const encoder = dat.encode()
    bytes = 0
    encoder.on('data', function (piece) { bytes += piece.length })
    encoder.on('end', resolve)
    encoder.on('error', reject)
    setImmediate(function () { // by then it flows, which makes it twice as fast
      for (const change of changes) encoder.change(change)
      encoder.finalize()
    })
  })
}

function decodeAll () {
  count = 0
  return decode(function (change) { if (change.key && change.value) count++ })
}

decode(function (change) { changes.push(change) }).then(function () {
  return repeat(what === 'encode' ? encodeAll : decodeAll, Number(repeats), 3)
}).then(function (times) {
  if (what === 'encode' ? bytes !== data.length : count !== changes.length) throw new Error('wrong result')
  say(times, changes.length)
}).catch(function (err) {
  console.error(err)
  process.exit(1)
})
