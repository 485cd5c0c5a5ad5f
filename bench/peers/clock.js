'use strict'

// What the peers have in common: clocks, lines of the input, and what each says at its end, on one line of JSON.

const fs = require('fs')

exports.now = function () {
  return Number(process.hrtime.bigint()) / 1e9
}

// CPU seconds of the main thread.
exports.busy = function () {
  const stat = fs.readFileSync('/proc/self/task/' + process.pid + '/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

// The times of `repeats` runs of `run`, after `warm` that do not count, and the CPU seconds of them all.
exports.repeat = async function (run, repeats, warm) {
  for (let i = 0; i < warm; i++) await run()
  const seconds = []
  const busy = exports.busy()
  for (let i = 0; i < repeats; i++) {
    const begin = exports.now()
    await run()
    seconds.push(exports.now() - begin)
  }
  return { seconds, busy: exports.busy() - busy }
}

exports.say = function (times, count) {
  const peak = Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])
  const used = process.resourceUsage()
  const cpu = (used.userCPUTime + used.systemCPUTime) / 1e6
  process.stdout.write(JSON.stringify(Object.assign({ count, cpu, peak_kib: peak }, times)) + '\n')
}

// The lines of a file, in batches of `size`.
exports.lines = async function * (file, size) {
  let rest = ''
  let batch = []
  for await (const data of fs.createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const lines = (rest + data).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      batch.push(line)
      if (batch.length === size) {
        yield batch
        batch = []
      }
    }
  }
  if (batch.length) yield batch
}
