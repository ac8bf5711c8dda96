// Reads the placement of a graph's nodes from the log of onnxruntime-web at level "verbose".

const CAPABILITY =
  /partitions supported by WebNN: (\d+) number of nodes in the graph: (\d+) number of nodes supported by WebNN: (\d+)/;
const NODE = /Operator type: \[(.*?)\] index: \[(\d+)\] name: \[(.*?)\] supported: \[([01])\]/;
const BROWSER_LACKS = /is not supported by browser/;
const REASON = /\[V:onnxruntime.*(?:op_builder|helper)\.(?:cc|h):\d+ \w+\] (.*)$/;
const WHOLE = /All nodes placed on \[WebNNExecutionProvider\]\. Number of nodes: 1\b/;
const ELSEWHERE = /Node\(s\) placed on \[(?!WebNNExecutionProvider)(\w+)\]\. Number of nodes: (\d+)/;

// lines: string[] → { whole, partitions, nodes, placed, refusals: [{operator, node, reason}], elsewhere: [{provider, nodes}] }
//
// "1 partition" does not prove that the graph is whole: with an unsupported side branch there is one partition and a
// node on the CPU. onnxruntime inlines refused functions and then calls the provider again, so a node can be refused
// in the first pass, and its body placed in the second. Refusals count only where the graph is not whole.
export function readPlacement(lines) {
  const placement = { whole: false, partitions: 0, nodes: 0, placed: 0, refusals: [], elsewhere: [] };
  let reasons = []; // since the last node
  for (const line of lines) {
    const node = line.match(NODE);
    const capability = line.match(CAPABILITY);
    const elsewhere = line.match(ELSEWHERE);
    if (node) {
      const [, operator, index, name, supported] = node;
      if (supported === '0' && !operator.startsWith('WEBNN_')) {
        placement.refusals.push({ operator, node: name || `${operator}_${index}`, reason: reasons.join('; ') });
      }
      reasons = [];
    } else if (capability) {
      [placement.partitions, placement.nodes, placement.placed] = capability.slice(1).map(Number);
    } else if (elsewhere) {
      placement.elsewhere.push({ provider: elsewhere[1], nodes: Number(elsewhere[2]) });
    } else if (WHOLE.test(line)) {
      placement.whole = true;
    } else if (REASON.test(line) && !BROWSER_LACKS.test(line)) {
      reasons.push(line.match(REASON)[1].trim());
    }
  }
  return placement;
}
