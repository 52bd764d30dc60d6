// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

private struct Sample: Codable {
    var name: String?
    var count: Int8?
    var list: [Double?]?
    var table: [Text: JSON]?
    var whole: UInt64?
}

/// What can be read can be written, and reading that changes nothing any more.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    do {
        let value = try JSON.parse(bytes)
        let written = value.encoded()
        let again = try? JSON.parse(written)
        precondition(again?.encoded() == written, "is written differently again")
        precondition(again == value && again?.hashValue == value.hashValue, "is another value")
        let sample = try JSONCoder.decode(Sample.self, from: value)
        _ = try JSONCoder.encode(sample)
    } catch {}
    _ = HandshakeRequest.decode(bytes.span)
    return 0
}
