// Express that filters answers with JSON.parse and JSON.stringify: the five rules of bundle/policies/deals.cedar by hand.
//
// As Express's production guide says: NODE_ENV=production, one process for each core by node's own cluster. Towards the
// upstream it uses undici with connections that stay open, the fastest client that node has.
'use strict';

const cluster = require('node:cluster');
const fs = require('node:fs');
const express = require('express');
const { Pool } = require('undici');

const [, , port, upstream, rulesFile, workers] = process.argv;

if (cluster.isPrimary) {
  for (let i = 0; i < Number(workers); i += 1) cluster.fork();
  cluster.on('exit', () => process.exit(1));
} else {
  serve();
}

function serve() {
  const rules = JSON.parse(fs.readFileSync(rulesFile, 'utf8'));
  const openStages = new Set(rules.open_stages);
  const crm = new Pool(`http://127.0.0.1:${upstream}`, { connections: 64, pipelining: 1 });

  function visible(deal) {
    const isOwn = deal.owner_id === rules.caller_crm_id;
    const hasMoney = openStages.has(deal.stage) && (isOwn || deal.amount <= rules.large_amount);
    const names = rules.shown[isOwn ? (hasMoney ? 'both' : 'contact') : hasMoney ? 'money' : 'neither'];
    const shown = { id: deal.id };
    for (const name of names) if (deal[name] !== undefined) shown[name] = deal[name];
    return shown;
  }

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');

  app.get(['/deals', '/deals/:id'], async (request, response) => {
    const answer = await crm.request({ method: 'GET', path: request.originalUrl });
    const document = JSON.parse(await answer.body.text());
    if (answer.statusCode !== 200) {
      response.sendStatus(answer.statusCode);
    } else if (Array.isArray(document.data)) {
      response.json({ data: document.data.map(visible), page: document.page });
    } else {
      response.json(visible(document));
    }
  });

  const server = app.listen(Number(port), '127.0.0.1');
  server.keepAliveTimeout = 3_600_000;
}
