// One context of JavaScript: lines of JSON on the descriptor that the first argument names, code by Node's own REPL.
// Variables stay; `import` and `await` may stand at the top; what a run prints goes to descriptors 1 and 2.
'use strict'
const fs = require('node:fs')
const net = require('node:net')
const repl = require('node:repl')
const readline = require('node:readline')
const { inspect } = require('node:util')
const { PassThrough } = require('node:stream')
const nodeModule = require('node:module')

const descriptor = Number(process.argv[2])
const isTypeScript = process.argv[3] === 'typescript'
const stream = new net.Socket({ fd: descriptor, readable: true, writable: true })
let count = 0

const say = (event) => stream.write(JSON.stringify(event) + '\n')

// The REPL gives what a run throws, now or later, to its domain.
const domain = require('node:domain').create()
let fail = null
domain.on('error', (error) => (fail ? fail(error) : fs.writeSync(2, `${(error && error.stack) || error}\n`)))
const nowhere = new PassThrough()
nowhere.resume()
const shell = repl.start({ prompt: '', input: new PassThrough(), output: nowhere, terminal: false, useGlobal: true, breakEvalOnSigint: true, domain })
process.on('SIGINT', () => {})
for (const method of ['log', 'info', 'debug']) console[method] = (...values) => fs.writeSync(1, require('node:util').format(...values) + '\n')
for (const method of ['error', 'warn', 'trace']) console[method] = (...values) => fs.writeSync(2, require('node:util').format(...values) + '\n')

// `import` is no expression: the same by import(), whose answer the REPL awaits.
const IMPORT = /^([ \t]*)import\s+(?:(?<all>\*\s+as\s+[\w$]+)|(?<single>[\w$]+)?\s*,?\s*(?<names>\{[^}]*\})?)\s*(?:from\s*)?(?<from>'[^'\n]*'|"[^"\n]*")[ \t]*;?/gm
function withoutImports(code) {
  return code.replace(IMPORT, (found, indent, ...rest) => {
    const { all, single, names, from } = rest.at(-1)
    const module = `await import(${from})`
    if (all) return `${indent}var ${all.replace(/^\*\s+as\s+/, '')} = ${module};`
    const taken = []
    if (single) taken.push(`default: ${single}`)
    if (names) taken.push(names.slice(1, -1).replace(/\btype\s+/g, '').replace(/\s+as\s+/g, ': '))
    return taken.length ? `${indent}var { ${taken.join(', ')} } = ${module};` : `${indent}${module};`
  })
}

function plain(code) {
  if (!isTypeScript) return code
  if (nodeModule.stripTypeScriptTypes) return nodeModule.stripTypeScriptTypes(code, { mode: 'transform' })
  try {
    const typescript = require('typescript')
    return typescript.transpile(code, { target: 'esnext', module: 'esnext' })
  } catch {
    throw new Error('TypeScript needs Node 22.13 or the npm package typescript on the machine that serves')
  }
}

const evaluate = (code) =>
  new Promise((resolve, reject) => {
    fail = reject
    shell.eval(code + '\n', shell.context, `cell ${count}`, (error, value) => (error ? reject(error) : resolve(value)))
  })

function sayValue(value) {
  if (value === undefined) return
  const data = { 'text/plain': typeof value === 'string' ? value : inspect(value) }
  if (value !== null && typeof value === 'object') {
    try {
      data['application/json'] = JSON.parse(JSON.stringify(value))
    } catch {
      // what has no JSON has its text
    }
  }
  say({ type: 'result', data, is_main: true })
}

function sayError(error) {
  const known = error instanceof Error || (error && error.stack)
  const name = known ? error.name : 'Error'
  say({ type: 'error', name, value: known ? error.message : inspect(error), traceback: known ? String(error.stack) : '' })
}

async function run(request) {
  count += 1
  say({ type: 'begin', count })
  Object.assign(process.env, request.base)
  const before = Object.keys(request.env).map((name) => [name, process.env[name]])
  Object.assign(process.env, request.env)
  try {
    sayValue(await evaluate(withoutImports(plain(request.code))))
  } catch (error) {
    sayError(error.name === 'Recoverable' || error.constructor?.name === 'Recoverable' ? error.err : error)
  } finally {
    fail = null
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  say({ type: 'done' })
}

process.on('uncaughtException', (error) => fs.writeSync(2, `${error && error.stack}\n`))
let last = Promise.resolve()
readline.createInterface({ input: stream }).on('line', (line) => {
  last = last.then(() => run(JSON.parse(line)))
}).on('close', () => process.exit(0))
