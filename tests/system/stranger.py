"""A web page of somebody else, which tries to use the servers of the machine that it is read on."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from system.browser import Tab

# What is tried by name, and what came of it. A page that could read nothing has an error for each.
SCRIPT = """
const {api, mlflow, ws, deployment} = TARGETS, results = {};
const text = async (url, options) => {
  const reply = await fetch(url, options);
  return reply.type === 'opaque' ? 'opaque' : `${reply.status} ${await reply.text()}`;
};
const json = {'content-type': 'application/json'};
// A body without a type is sent without asking first, and Prefect takes it for JSON.
const bare = value => new Blob([JSON.stringify(value)]);
const socket = (url, message) => new Promise((resolve, reject) => {
  const opened = new WebSocket(url);
  opened.onopen = () => { opened.send(JSON.stringify(message)); setTimeout(() => resolve('open'), 500); };
  opened.onerror = () => reject(new Error('refused'));
});
const run = `${api}/deployments/${deployment}/create_flow_run`;
const named = name => ({name, description: name});
const attempts = {
  own: () => text('/own'),
  prefect_read: () => text(`${api}/work_pools/local`),
  prefect_read_simple: () => text(`${api}/work_pools/filter`, {method: 'POST', body: bare({})}),
  prefect_run_simple: () => text(run, {method: 'POST', body: bare({name: 'simple'})}),
  prefect_run_blind: () => text(run, {method: 'POST', mode: 'no-cors', body: bare({name: 'blind'})}),
  prefect_run_asked: () => text(run, {method: 'POST', headers: json, body: '{"name": "asked"}'}),
  prefect_pool: () => text(`${api}/work_pools/local`, {method: 'PATCH', headers: json,
                                                       body: '{"is_paused": true}'}),
  prefect_token: () => text(`${api}/csrf-token?client=page`),
  prefect_events: () => socket(`${ws}/events/in`, {event: 'page', resource: {'prefect.resource.id': 'page'}}),
  prefect_logs: () => socket(`${ws}/logs/out`, {type: 'auth', token: ''}),
  mlflow_read: () => text(`${mlflow}/ajax-api/2.0/mlflow/experiments/search?max_results=5`,
                          {credentials: 'include'}),
  mlflow_make_simple: () => text(`${mlflow}/api/2.0/mlflow/experiments/create`,
                                 {method: 'POST', body: bare(named('simple'))}),
  mlflow_make_blind: () => text(`${mlflow}/api/2.0/mlflow/experiments/create`,
                                {method: 'POST', mode: 'no-cors', body: bare(named('blind'))}),
  mlflow_make_asked: () => text(`${mlflow}/api/2.0/mlflow/experiments/create`, {method: 'POST', headers: json,
                                credentials: 'include', body: JSON.stringify(named('asked'))}),
};
(async () => {
  for (const [name, attempt] of Object.entries(attempts))
    try { results[name] = await attempt(); } catch (error) { results[name] = `Error: ${error.message}`; }
  document.body.innerHTML = '';
  const form = document.createElement('form');  // it opens in a frame of the page
  form.method = 'post'; form.action = run; form.target = 'frame'; form.enctype = 'text/plain';
  const field = document.createElement('input');
  field.name = '{"name": "form", "tags": ["'; field.value = '"]}';
  form.append(field);
  const frame = document.createElement('iframe');
  frame.name = 'frame';
  document.body.append(frame, form);
  form.submit();
  await new Promise(done => setTimeout(done, 1000));
  const shown = document.createElement('pre');
  shown.id = 'results'; shown.textContent = JSON.stringify(results);
  document.body.append(shown);
})();
"""


@contextlib.contextmanager
def page(targets: dict[str, str]) -> Iterator[int]:
    """Serve the page on a port of loopback, which this yields."""
    text = f"<body><script>{SCRIPT.replace('TARGETS', json.dumps(targets))}</script></body>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(text if self.path == "/" else b"mine")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def tries(url: str, tab: Tab) -> dict[str, str]:
    """Read the page in a browser. What it tried, and what came of it."""
    tab.open(url)
    return tab.until("JSON.parse(document.getElementById('results').textContent)")
