// SPDX-License-Identifier: MIT
//
// Pomelo: what an application imports. Reading order: Exports, ServerWorld, ServerProcess, NodeInfo.
@_exported public import PomeloBytes
@_exported public import PomeloConnectors
@_exported public import PomeloCore
@_exported public import PomeloJSON
@_exported public import PomeloLoop
@_exported public import PomeloRPC
@_exported public import PomeloTLS
@_exported public import PomeloWire
