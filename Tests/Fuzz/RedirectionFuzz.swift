// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloLoop/SocketAddress.swift
// with: Sources/PomeloRedis/Commands/RedisReply.swift Sources/PomeloRedis/Commands/RedisError.swift
// with: Sources/PomeloRedis/Commands/KeySlot.swift
// with: Sources/PomeloRedis/Cluster/Redirection.swift Sources/PomeloRedis/Cluster/SlotMap.swift
// swiftc: -sanitize=fuzzer,address

/// What a redirection says, read word by word in the plainest way: the slot, the host and the port.
private func plain(_ text: String) -> (isAsk: Bool, slot: Int, host: String, port: Int)? {
    var words: [[UInt8]] = [[]]
    for byte in text.utf8 {
        if byte == UInt8(ascii: " ") { words.append([]) } else { words[words.count - 1].append(byte) }
    }
    words.removeAll(where: \.isEmpty)
    guard words.count == 3, let slot = Int(String(decoding: words[1], as: UTF8.self)), (0..<16_384).contains(slot)
    else { return nil }
    let kind = String(decoding: words[0], as: UTF8.self)
    guard kind == "MOVED" || kind == "ASK" else { return nil }
    var place = words[2]
    if let end = place.firstIndex(where: { $0 == UInt8(ascii: "@") || $0 == UInt8(ascii: ",") }) {
        place.removeSubrange(end...)
    }
    guard let colon = place.lastIndex(of: UInt8(ascii: ":")),
        let port = Int(String(decoding: place[(colon + 1)...], as: UTF8.self)), (1...65_535).contains(port)
    else { return nil }
    return (kind == "ASK", slot, String(decoding: place[..<colon], as: UTF8.self), port)
}

private func checkRedirection(_ text: String) {
    let expected = plain(text)
    switch Redirection(text) {
    case .moved(let slot, let place), .ask(let slot, let place):
        guard let expected else { fatalError("read where there is nothing") }
        precondition(slot.number == expected.slot && place.port == expected.port, "another slot or port")
        precondition(place.host.isEmpty || SocketAddress.host(expected.host) == place.host, "another host")
        let again = "\(expected.isAsk ? "ASK" : "MOVED") \(slot.number) \(place.host):\(place.port)"
        precondition(Redirection(again) == Redirection(text), "not the same when written again")
    case .tryAgain, .down, nil:
        // A host that is none is refused; everything else that can be read is read.
        precondition(expected.map { !$0.host.isEmpty && $0.host != "?" && SocketAddress.host($0.host) == nil } ?? true)
    }
}

/// A map of slots out of bytes: ranges of two numbers and a place each, some of them wrong.
private func checkMap(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    func number(_ bytes: inout ArraySlice<UInt8>) -> Int64 {
        let high = bytes.popFirst() ?? 0
        let low = bytes.popFirst() ?? 0
        let value = Int64(high) << 8 | Int64(low)
        return high == 0xFF ? -value : value
    }
    var ranges: [RedisReply] = []
    var owned = 0
    while rest.count >= 6 {
        let (first, length, port) = (number(&rest), number(&rest) % 4096, number(&rest))
        let host = rest.popFirst().map { RedisReply.text(["", "?", "h", "a b", "::1"][Int($0 % 5)]) } ?? .null
        ranges.append(.array([.integer(first), .integer(first + length), .array([host, .integer(port)])]))
        owned += 1
    }
    let teller = SocketAddress(host: "t", port: 1)
    guard let map = SlotMap(.array(ranges), saidBy: teller) else { return }
    var holes = 0
    for slot in 0..<KeySlot.count {
        guard let place = map[KeySlot(number: slot)] else {
            holes += 1
            continue
        }
        precondition(map.places.contains(place) && (1...65_535).contains(place.port))
    }
    precondition(map.isComplete == (holes == 0) && map.places.count <= owned)
}

/// Neither the text of a redirection nor a map of slots is a trap, whatever a node sends.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRedirection(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let kind = bytes.first else { return 0 }
    if kind == UInt8(ascii: "#") {
        checkMap(bytes.dropFirst())
    } else {
        checkRedirection(String(decoding: bytes, as: UTF8.self))
    }
    return 0
}
