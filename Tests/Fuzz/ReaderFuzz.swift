// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloRedis/Commands/RedisReply.swift Sources/PomeloRedis/Commands/RedisError.swift
// with: Sources/PomeloRedis/Connection/ReplyReader.swift Sources/PomeloRedis/Connection/CText.swift
// with: Tests/PomeloRedisTests/PlainReply.swift
// swiftc: -sanitize=fuzzer,address -I Sources/CHiredis

/// The thread that fuzzes is the first one.
typealias Loop = MainActor

private typealias Outcome = (replies: [RedisReply], isMalformed: Bool)

@MainActor private func read(_ bytes: [UInt8], inPiecesOf size: Int) -> Outcome {
    guard let reader = ReplyReader() else { fatalError("no memory") }
    var replies: [RedisReply] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
        bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { reader.feed($0) }
        var taken = reader.take(2, into: &replies)
        while taken.count == 2, !taken.isMalformed { taken = reader.take(2, into: &replies) }
        guard taken.isMalformed else { continue }
        precondition(!reader.errorText.isEmpty, "nobody says why")
        return (replies, true)
    }
    return (replies, false)
}

/// What a server sends means the same in any pieces, and what the protocol says; the first byte is their size.
@MainActor private func check(_ bytes: [UInt8], inPiecesOf size: Int) {
    let whole = read(bytes, inPiecesOf: max(1, bytes.count))
    let pieces = read(bytes, inPiecesOf: size)
    precondition(whole == pieces, "in pieces it means something else")
    let plain = PlainReply.read(bytes)
    // Where the plain reader stops, the other may have stopped before, or gone on by its own lights.
    let common = min(whole.replies.count, plain.replies.count)
    precondition(whole.replies.prefix(common) == plain.replies.prefix(common), "another reply")
    if !whole.isMalformed, !plain.isBroken {
        precondition(whole.replies.count == plain.replies.count, "another number of replies")
    }
}

/// More than a line may have, behind anything; to the byte, the bound depends on what was looked at before.
@MainActor private func checkEndless(_ bytes: [UInt8]) {
    let long = bytes + [UInt8](repeating: UInt8(ascii: "+"), count: 1 << 20 + 64)
    let (whole, pieces) = (read(long, inPiecesOf: long.count), read(long, inPiecesOf: 1 << 19))
    precondition(whole == pieces, "in pieces it means something else")
}

/// Neither pieces nor nonsense are a trap.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzReader(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeBufferPointer(start: start, count: count)
    guard let size = input.first else { return 0 }
    let bytes = Array(input.dropFirst())
    MainActor.assumeIsolated {
        check(bytes, inPiecesOf: Int(size % 64) + 1)
        // Not each time: it takes a thousand times as long.
        if size == 255, bytes.reduce(0, &+) % 32 == 0 { checkEndless(bytes) }
    }
    return 0
}
