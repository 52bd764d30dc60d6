// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

/// What a stream of packages amounts to: each one written anew, and how it ended.
private func outcome(_ pieces: [Bytes]) -> (packages: Bytes, error: WireError?) {
    var decoder = PacketDecoder(maxBodyBytes: 4096)
    var packages: Bytes = []
    do throws(WireError) {
        for piece in pieces {
            try decoder.decode(piece.span) { type, body, _ in
                packages += [type.rawValue, 0, UInt8(body.count >> 8), UInt8(body.count & 0xFF)]
                for index in body.indices { packages.append(body[index]) }
                return true
            }
        }
        return (packages, nil)
    } catch {
        return (packages, error)
    }
}

/// However a stream is cut, the packages are the same, and they are the bytes of the stream.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPackets(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    let whole = outcome([bytes])
    let cut = Int(bytes.first ?? 0) % (bytes.count + 1)
    let parts = outcome([Bytes(bytes[..<cut]), Bytes(bytes[cut...])])
    let single = outcome(bytes.map { [$0] })
    precondition(whole == parts && whole == single, "the cut changes the packages")
    precondition(bytes.starts(with: whole.packages), "packages are not the bytes of the stream")
    do throws(WireError) {
        try PacketDecoder.decodeFrame(bytes.span, maxBodyBytes: 4096) { _, _, _ in true }
        precondition(whole.error == nil, "a frame takes what a stream refuses")
    } catch {}
    return 0
}
