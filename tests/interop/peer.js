'use strict'

// The npm packages behind a pipe: one JSON request a line on stdin, one JSON answer a line on stdout.
//
//   request  {"id": 1, "calls": [{"op": "multibuffer.pack", "buffers": [{"$b": "YWJj"}], "extra": 0}, ...]}
//   answer   {"id": 1, "results": [{"value": ...} or {"error": "message"}, ...]}
//
// {"$b": base64} is a buffer, in both directions. The packages are loaded and called as they come. Runs on
// Node 10, for which they were written, and on newer ones; see `keepAlive` for the one thing those need.

const fs = require('fs')
const path = require('path')
const util = require('util')
const vm = require('vm')

const varint = require('varint')
const multibuffer = require('multibuffer')
const multibufferStream = require('multibuffer-stream')
const dat = require('dat-replication-protocol')

const NODE_MAJOR = parseInt(process.versions.node, 10)

// -- helpers ---------------------------------------------------------------------------------------------------------

function fromWire (value) {
  if (Array.isArray(value)) return value.map(fromWire)
  if (value === null || typeof value !== 'object') return value
  if (typeof value.$b === 'string') return Buffer.from(value.$b, 'base64')
  const copy = {}
  for (const key of Object.keys(value)) copy[key] = fromWire(value[key])
  return copy
}

function toWire (value) {
  if (value === undefined || value === null) return null
  if (Buffer.isBuffer(value)) return { $b: value.toString('base64') }
  if (Array.isArray(value)) return value.map(toWire)
  if (typeof value === 'number' && !isFinite(value)) return String(value)
  if (typeof value !== 'object') return value
  const copy = {}
  for (const key of Object.keys(value)) copy[key] = toWire(value[key])
  return copy
}

function split (data, cuts) {
  const chunks = []
  let start = 0
  for (const cut of cuts.concat(data.length)) {
    chunks.push(data.slice(start, cut))
    start = cut
  }
  return chunks
}

// Errors thrown out of a later tick have no caller to reach: they belong to the run that is under way.
let onUncaught = null

process.on('uncaughtException', function (err) {
  if (!onUncaught) throw err
  onUncaught(err)
})

// Resolves when nothing more can happen. The packages do everything in the caller's turn or by process.nextTick (no
// timers, no I/O), and every tick runs before the next setImmediate: a turn of the loop in which `progress` did not move
// is the end. No clock is asked.
function quiet (progress) {
  return new Promise(function (resolve) {
    let last = progress()
    function look () {
      const now = progress()
      if (now === last) return resolve()
      last = now
      setImmediate(look)
    }
    setImmediate(look)
  })
}

// Calls fn; where it is still running after `watchdog` milliseconds it is in an endless loop, and is stopped.
function guarded (fn, watchdog) {
  if (!watchdog) return fn()
  global.guardedCall = fn
  return vm.runInThisContext('guardedCall()', { timeout: watchdog })
}

function isTimeout (err) {
  return /timed out/.test(err.message)
}

// Runs `once(cuts)` for every list of cuts. Equal outcomes are sent once: {outcomes: [...], which: [index per cuts]}.
async function everyCut (cutLists, once) {
  const outcomes = []
  const which = []
  for (const cuts of cutLists) {
    const outcome = await once(cuts)
    let index = outcomes.findIndex(function (seen) { return util.isDeepStrictEqual(seen, outcome) })
    if (index < 0) index = outcomes.push(outcome) - 1
    which.push(index)
  }
  return { outcomes, which }
}

// A blob calls its own `destroy`, and that the whole coder's, when Node ≥ 14 destroys a stream that has ended.
function keepAlive (state, args) {
  if (NODE_MAJOR >= 14 && !args.autoDestroy) state.autoDestroy = false
}

// -- dat-replication-protocol ----------------------------------------------------------------------------------------

// One stream into one decoder. `items` are in the order of their delivery, a blob when it has ended. With `paced` each
// piece is written when the one before has been dealt with, as from a socket; without, all in one go, as from a file.
async function datDecodeOnce (args, cuts) {
  const outcome = { items: [], finalized: false, thrown: null, error: null, uncaught: null, hung: false, spins: false }
  const decoder = dat.decode()
  let steps = 0
  function progress () { return steps }

  decoder.change(function (change, cb) {
    steps++
    outcome.items.push({ change: Object.assign({}, change) })
    cb()
  })
  decoder.blob(function (blob, cb) {
    const pieces = []
    steps++
    keepAlive(blob._readableState, args)
    blob.on('data', function (piece) {
      steps++
      pieces.push(piece)
    })
    blob.on('end', function () {
      steps++
      outcome.items.push({ blob: Buffer.concat(pieces) })
      cb()
    })
  })
  decoder.finalize(function (cb) {
    steps++
    outcome.finalized = true
    cb()
  })
  decoder.on('error', function (err) {
    steps++
    outcome.error = outcome.error || err.message
  })
  onUncaught = function (err) {
    steps++
    outcome.uncaught = outcome.uncaught || err.message
  }

  try {
    for (const chunk of split(args.data, cuts)) {
      guarded(function () { decoder.write(chunk) }, args.watchdog)
      if (args.paced) await quiet(progress)
    }
    guarded(function () { decoder.end() }, args.watchdog)
  } catch (err) {
    if (isTimeout(err)) outcome.spins = true
    else outcome.thrown = err.message
  }
  await quiet(progress)
  onUncaught = null
  outcome.hung = !(outcome.finalized || outcome.thrown || outcome.error || outcome.uncaught)
  return outcome
}

// `items`: {change: {...}} or {blob: buffer, cuts: [...]}; the next one starts when the encoder has taken the last.
async function datEncode (args) {
  const encoder = dat.encode()
  const pieces = []
  let taken = 0
  encoder.on('data', function (piece) { pieces.push(Buffer.from(piece)) })
  function progress () { return pieces.length + taken }
  function take () { taken++ }

  for (let index = 0; index < args.items.length; index++) {
    const item = args.items[index]
    if (item.change) {
      encoder.change(item.change, take)
    } else {
      const blob = encoder.blob(item.blob.length, take)
      if (blob) {
        keepAlive(blob._writableState, args)
        for (const piece of split(item.blob, item.cuts || [])) blob.write(piece)
        blob.end()
      }
    }
    await quiet(progress)
    if (taken <= index) throw new Error('the encoder never took item ' + index)
  }
  encoder.finalize()
  await quiet(progress)
  return Buffer.concat(pieces)
}

// -- multibuffer-stream ----------------------------------------------------------------------------------------------

async function runTransform (stream, chunks) {
  const outcome = { buffers: [], ended: false, thrown: null, error: null, uncaught: null }
  let steps = 0
  stream.on('data', function (buffer) {
    steps++
    outcome.buffers.push(Buffer.from(buffer))
  })
  stream.on('end', function () {
    steps++
    outcome.ended = true
  })
  stream.on('error', function (err) {
    steps++
    outcome.error = outcome.error || err.message
  })
  onUncaught = function (err) {
    steps++
    outcome.uncaught = outcome.uncaught || err.message
  }
  try {
    for (const chunk of chunks) stream.write(chunk)
    stream.end()
  } catch (err) {
    outcome.thrown = err.message
  }
  await quiet(function () { return steps })
  onUncaught = null
  return outcome
}

// -- the operations --------------------------------------------------------------------------------------------------

const operations = {
  versions: function () {
    const versions = { node: process.versions.node }
    for (const name of ['dat-replication-protocol', 'multibuffer', 'multibuffer-stream', 'protocol-buffers', 'varint']) {
      const file = path.join(__dirname, 'node_modules', name, 'package.json')
      versions[name] = JSON.parse(fs.readFileSync(file, 'utf8')).version
    }
    return versions
  },

  'varint.encode': function (args) {
    return args.numbers.map(function (number) { return Buffer.from(varint.encode(number)) })
  },
  'varint.decode': function (args) {
    return args.buffers.map(function (buffer) {
      const value = varint.decode(buffer)
      return value === undefined ? null : { value: value, bytes: varint.decode.bytes }
    })
  },

  'multibuffer.encode': function (args) { return multibuffer.encode(args.buffer, args.extra) },
  'multibuffer.pack': function (args) { return multibuffer.pack(args.buffers, args.extra) },
  'multibuffer.unpack': function (args) { return multibuffer.unpack(args.data) },
  'multibuffer.readPartial': function (args) { return multibuffer.readPartial(args.data) },

  'multibuffer-stream.pack': function (args) {
    return runTransform(new multibufferStream.packStream(), args.buffers) // eslint-disable-line new-cap
  },
  'multibuffer-stream.unpack': function (args) {
    return everyCut(args.cuts, function (cuts) {
      return runTransform(multibufferStream.unpackStream(), split(args.data, cuts))
    })
  },

  'dat.encode': datEncode,
  'dat.decode': function (args) {
    return everyCut(args.cuts, function (cuts) { return datDecodeOnce(args, cuts) })
  }
}

async function answer (line) {
  const request = JSON.parse(line)
  const results = []
  for (const call of request.calls) {
    try {
      if (!operations[call.op]) throw new Error('no such operation: ' + call.op)
      results.push({ value: toWire(await operations[call.op](fromWire(call))) })
    } catch (err) {
      results.push({ error: err.message })
    }
  }
  process.stdout.write(JSON.stringify({ id: request.id, results: results }) + '\n')
}

let pending = ''
let queue = Promise.resolve()

process.stdin.setEncoding('utf8')
process.stdin.on('data', function (text) {
  const lines = (pending + text).split('\n')
  pending = lines.pop()
  for (const line of lines) queue = queue.then(function () { return answer(line) })
})
