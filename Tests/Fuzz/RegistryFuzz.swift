// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloContract/Identifiers.swift Sources/PomeloContract/ServerRecord.swift
// with: Sources/PomeloCluster/RegistryEntry.swift

/// An entry of the registry is nothing, or a server that is written, read and written again as the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRegistry(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    let id: ServerID = "connector-1"
    let instance = RegistryEntry.instance(text)
    guard let info = RegistryEntry.decode(text, of: id) else { return 0 }
    precondition(info.id == id && info.instance == instance, "another server")
    let written = RegistryEntry.encode(info)
    // As texts: a number beyond 2^53 may come back as a whole one, which is another value of the same digits.
    let again = RegistryEntry.decode(written, of: id).map(RegistryEntry.encode)
    precondition(again == written, "what was written reads otherwise")
    return 0
}
