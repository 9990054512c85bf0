// Runs flows one after the other and says of each how it went.
import assert from 'node:assert/strict'

const flows = []

export const flow = (name, run) => flows.push({ name, run })

export const runAll = async (library) => {
  for (const { name, run } of flows) {
    try {
      await run()
      console.log(`ok ${library} ${name}`)
    } catch (error) {
      console.log(`not ok ${library} ${name}: ${`${error.code ?? ''} ${error.message}`.trim().replaceAll('\n', ' ')}`)
      console.error(error)
    }
  }
  console.log('end')
}

export const required = (name) => {
  const value = process.env[name]
  assert.ok(value, `the variable ${name} is set`)
  return value
}

export const issuer = required('ISSUER')
export const resource = required('RESOURCE')
export const client = { id: required('CLIENT_ID'), secret: required('CLIENT_SECRET') }
export const other = { id: required('OTHER_CLIENT_ID'), secret: required('OTHER_CLIENT_SECRET') }
export const chosen = ['BROKEN_ESCAPES', 'VALID_ESCAPES'].map((name) => ({
  name: name.toLowerCase().replace('_', ' '),
  id: required(`${name}_ID`),
  secret: required(`${name}_SECRET`),
}))
export const defaultAudience = `${issuer}/apis/default`

export const sameScopes = (actual, expected) =>
  assert.deepEqual(actual.split(' ').sort(), expected.split(' ').sort())
