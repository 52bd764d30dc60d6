// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

// with: Tests/PomeloWireTests/SocketIO/SessionModel.swift

/// Each pair of bytes is one thing that happens to a session; the first byte says of which generation.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPolling(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    guard let first = bytes.first else { return 0 }
    var model = SessionModel(SocketIORevision.allCases[Int(first) % 3])
    for index in stride(from: 1, to: bytes.count - 1, by: 2) { model.step(bytes[index], bytes[index + 1]) }
    model.settle()
    precondition(model.faults.isEmpty, "\(model.faults)")
    return 0
}
