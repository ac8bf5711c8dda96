// Reads where onnxruntime-web put a graph's nodes out of what it logs at level "verbose".

const CAPABILITY =
  /partitions supported by WebNN: (\d+) number of nodes in the graph: (\d+) number of nodes supported by WebNN: (\d+)/;
const NODE = /Operator type: \[(.*?)\] index: \[(\d+)\] name: \[(.*?)\] supported: \[([01])\]/;
const BROWSER_LACKS = /is not supported by browser/;
const COMPLAINT = /\[V:onnxruntime.*(?:op_builder|helper)\.(?:cc|h):\d+ \w+\] (.*)$/;
const WHOLE = /All nodes placed on \[WebNNExecutionProvider\]\. Number of nodes: 1\b/;
const ELSEWHERE = /Node\(s\) placed on \[(?!WebNNExecutionProvider)(\w+)\]\. Number of nodes: (\d+)/;

// lines: string[] → { whole, partitions, nodes, placed, refusals: [{operator, node, reason}], elsewhere: [{provider, nodes}] }
//
// "1 partition" is no proof of wholeness: an unsupported side branch leaves one partition and a CPU node. The
// provider is asked again where onnxruntime has inlined the functions that it refused before, so a node may be
// refused in one pass and its body placed in the next: refusals count only where the graph is not whole.
export function readPlacement(lines) {
  const found = { whole: false, partitions: 0, nodes: 0, placed: 0, refusals: [], elsewhere: [] };
  let complaints = []; // since the last node
  for (const line of lines) {
    const node = line.match(NODE);
    const capability = line.match(CAPABILITY);
    const elsewhere = line.match(ELSEWHERE);
    if (node) {
      const [, operator, index, name, supported] = node;
      if (supported === '0' && !operator.startsWith('WEBNN_')) {
        found.refusals.push({ operator, node: name || `${operator}_${index}`, reason: complaints.join('; ') });
      }
      complaints = [];
    } else if (capability) {
      [found.partitions, found.nodes, found.placed] = capability.slice(1).map(Number);
    } else if (elsewhere) {
      found.elsewhere.push({ provider: elsewhere[1], nodes: Number(elsewhere[2]) });
    } else if (WHOLE.test(line)) {
      found.whole = true;
    } else if (COMPLAINT.test(line) && !BROWSER_LACKS.test(line)) {
      complaints.push(line.match(COMPLAINT)[1].trim());
    }
  }
  return found;
}
