'use strict'

// What every peer says at its end, on one line of JSON.

const fs = require('fs')

exports.now = function () {
  return Number(process.hrtime.bigint()) / 1e9
}

// The times of `repeats` runs of `run`, after `warm` that do not count.
exports.repeat = async function (run, repeats, warm) {
  const times = []
  for (let i = -warm; i < repeats; i++) {
    if (global.gc) global.gc()
    const begin = exports.now()
    await run()
    if (i >= 0) times.push(exports.now() - begin)
  }
  return times
}

exports.say = function (seconds, count, more) {
  const peak = Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])
  const used = process.resourceUsage()
  const cpu = (used.userCPUTime + used.systemCPUTime) / 1e6
  process.stdout.write(JSON.stringify(Object.assign({ seconds, count, cpu, peak_kib: peak }, more)) + '\n')
}
