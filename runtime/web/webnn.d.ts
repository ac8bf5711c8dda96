/** The part of WebNN, and of neighbours that TypeScript's library lacks, that is used here. */

type MLOperandDataType = 'float32' | 'float16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'int8' | 'uint8';

interface MLOperandDescriptor {
  dataType: MLOperandDataType;
  shape: readonly number[];
}

interface MLOperand {
  readonly dataType: MLOperandDataType;
}

interface MLTensor {
  destroy(): void;
}

interface MLGraph {
  destroy(): void;
}

interface MLContext {
  readonly lost: Promise<{ message: string }>;
  opSupportLimits(): { input: { dataTypes: string[] } };
  createTensor(descriptor: MLOperandDescriptor & { readable?: boolean; writable?: boolean }): Promise<MLTensor>;
  writeTensor(tensor: MLTensor, data: AllowSharedBufferSource): void;
  readTensor(tensor: MLTensor): Promise<ArrayBuffer>;
  dispatch(graph: MLGraph, inputs: Record<string, MLTensor>, outputs: Record<string, MLTensor>): void;
  destroy(): void;
}

declare class MLGraphBuilder {
  constructor(context: MLContext);
  input(name: string, descriptor: MLOperandDescriptor): MLOperand;
  mul(a: MLOperand, b: MLOperand): MLOperand;
  add(a: MLOperand, b: MLOperand): MLOperand;
  abs(a: MLOperand): MLOperand;
  exp(a: MLOperand): MLOperand;
  split(a: MLOperand, splits: number, options: { axis: number }): MLOperand[];
  cast(a: MLOperand, type: MLOperandDataType): MLOperand;
  concat(operands: MLOperand[], axis: number): MLOperand;
  reduceMean(a: MLOperand, options: { axes: number[] }): MLOperand;
  build(outputs: Record<string, MLOperand>): Promise<MLGraph>;
}

interface Navigator {
  readonly ml: { createContext(options: { deviceType: 'cpu' | 'gpu' | 'npu' }): Promise<MLContext> };
}

interface WorkerNavigator {
  readonly ml: Navigator['ml'];
}

interface FileSystemFileHandle {
  createSyncAccessHandle(): Promise<FileSystemSyncAccessHandle>;
  move(name: string): Promise<void>;
}

interface FileSystemSyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
