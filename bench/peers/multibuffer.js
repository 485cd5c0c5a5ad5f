'use strict'

// npm multibuffer 2.2.3: pack(list) and unpack(data).
//
//   node multibuffer.js pack|unpack FILE SIZE REPEATS      FILE: the buffers, SIZE bytes each, end to end

const fs = require('fs')
const { repeat, say } = require('./clock')
const multibuffer = require('multibuffer')

const [what, file, size, repeats] = process.argv.slice(2)
const data = fs.readFileSync(file)
const buffers = []
for (let at = 0; at < data.length; at += Number(size)) buffers.push(data.slice(at, at + Number(size)))
const packed = multibuffer.pack(buffers)

let result
const run = { pack () { result = multibuffer.pack(buffers) }, unpack () { result = multibuffer.unpack(packed) } }[what]

repeat(run, Number(repeats), 3).then(function (times) {
  if (result.length !== (what === 'pack' ? packed.length : buffers.length)) throw new Error('wrong result')
  say(times, buffers.length)
})
