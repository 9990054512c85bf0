// The package `@openmeter/sdk`: events that it ingests are kept and counted, each once.
import assert from 'node:assert/strict'
import { OpenMeter } from '@openmeter/sdk'
import { flow, issuer, required, runAll } from './flows.js'

const answer = await fetch(`${issuer}/oauth2/token`, {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: required('REPORTER_ID'),
    client_secret: required('REPORTER_SECRET'),
    scope: 'usage:write billing:read',
  }),
})
assert.equal(answer.status, 200)
const token = (await answer.json()).access_token
const openmeter = new OpenMeter({ baseUrl: issuer, apiKey: token })

const used = async (meter) => {
  const query = new URLSearchParams({
    customer_id: 'openmeter',
    meter,
    from: '2020-01-01T00:00:00Z',
    to: '2100-01-01T00:00:00Z',
  })
  const found = await fetch(`${issuer}/api/usage/query?${query}`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(found.status, 200)
  return (await found.json()).data.map((one) => one.value).join(' ')
}

const call = (id) => ({ id, source: 'app', type: 'api.call', subject: 'openmeter', data: { path: '/' } })

flow('one event', async () => {
  await openmeter.events.ingest(call('1'))
  assert.equal(await used('calls'), '1')
})

flow('the same event again, at another time of day, is counted once', async () => {
  await openmeter.events.ingest(call('1'))
  assert.equal(await used('calls'), '1')
})

flow('many events at once, some of them known', async () => {
  await openmeter.events.ingest([call('1'), call('2'), call('3')])
  assert.equal(await used('calls'), '3')
})

flow('values are summed', async () => {
  const events = [0.1, 0.2].map((tokens, index) => ({
    id: `t${index}`,
    source: 'app',
    type: 'llm.call',
    subject: 'openmeter',
    data: { tokens },
  }))
  await openmeter.events.ingest(events)
  assert.equal(await used('tokens'), '0.3')
})

flow('an event that is refused is an error, and the others are kept', async () => {
  const bad = { ...call('5'), subject: 'nobody' }
  await assert.rejects(openmeter.events.ingest([call('4'), bad]), (error) => {
    assert.equal(error.status, 400)
    return true
  })
  assert.equal(await used('calls'), '4')
})

await runAll('openmeter')
