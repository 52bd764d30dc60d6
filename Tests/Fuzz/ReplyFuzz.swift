// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloContract/Identifiers.swift Sources/PomeloContract/ServerRecord.swift
// with: Sources/PomeloRedis/Commands/RedisReply.swift Sources/PomeloRedis/Commands/RedisError.swift
// with: Sources/PomeloCluster/RegistryEntry.swift Sources/PomeloCluster/ClusterFeed.swift

/// Makes a reply of bytes: a kind, a length, and that many bytes or elements.
private struct Builder {
    var rest: ArraySlice<UInt8>

    mutating func reply(depth: Int) -> RedisReply {
        guard let kind = rest.popFirst(), let size = rest.popFirst() else { return .null }
        switch kind % 6 {
        case 0: return .bulk(bytes(size))
        case 1: return .status(String(decoding: bytes(size), as: UTF8.self))
        case 2: return .error(String(decoding: bytes(size), as: UTF8.self))
        case 3: return .integer(bytes(8).reduce(0) { $0 << 8 | Int64($1) })
        case 4: return depth == 0 ? .null : .array((0..<Int(size % 16)).map { _ in reply(depth: depth - 1) })
        default: return .null
        }
    }

    private mutating func bytes(_ size: UInt8) -> [UInt8] {
        defer { rest = rest.dropFirst(Int(size)) }
        return Array(rest.prefix(Int(size)))
    }
}

/// Any reply can be asked for anything, and a feed never goes back, whatever the stream of changes holds.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzReply(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var builder = Builder(rest: Array(UnsafeBufferPointer(start: start, count: count))[...])
    let first = builder.reply(depth: 2)
    _ = (first.int, first.string, first.bytes, first.strings, first.dictionary, first.errorCode, first.isNull)
    var feed = ClusterFeed(epoch: first.int ?? 0, position: first.string ?? "0-0")
    while !builder.rest.isEmpty {
        let before = feed.epoch
        _ = feed.take((builder.reply(depth: 3).array ?? []).map { ClusterFeed.Entry($0) })
        precondition(feed.epoch >= before, "the feed went back")
    }
    return 0
}
