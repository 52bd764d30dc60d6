// SPDX-License-Identifier: MIT

/// The first byte says how the rest is cut; it is read as a proxy's header, and as texts of addresses, of headers that
/// name clients, and of signed bodies.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProxy(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    guard let first = bytes.first else { return 0 }
    let stream = Bytes(bytes[1...])
    let whole = read(stream, piece: max(1, stream.count))
    precondition(whole == read(stream, piece: 1), "pieces make a difference")
    precondition(whole == read(stream, piece: Int(first) + 1), "pieces make a difference")
    let text = String(decoding: stream, as: UTF8.self)
    if let address = IPAddress(text) { precondition(IPAddress(address.text) == address, "an address changes") }
    if let network = AddressNetwork(text) {
        precondition(AddressNetwork(network.text) == network, "a network changes")
        var set = AddressSet()
        set.insert(network)
        precondition(set.contains(network.first), "a network lacks its first address")
        precondition(set.remove(network) && set.isEmpty, "a network stays")
    }
    client(stream)
    if let signed = SignedBody(stream) {
        do {
            let left = signed.text
            let rest = try JSON.parse(left)
            precondition(rest.object != nil && rest["__crypto__"] == nil, "a signature stays")
        } catch { preconditionFailure("what is left is no JSON") }
        precondition(signed.text.count < stream.count)
    }
    return 0
}

/// Whom headers name is an address that none of them is trusted for, or the last of those that are.
private func client(_ value: Bytes) {
    let text = String(decoding: value, as: UTF8.self)
    for (name, header) in [("x-forwarded-for", ForwardedHeader.xForwardedFor), ("forwarded", .forwarded)] {
        let request = UpgradeRequest(
            method: "GET", path: "/", isHTTP11: true, headers: [UpgradeRequest.Header(name: name, value: text)])
        guard let peer = IPAddress("10.0.0.1"), let all = AddressNetwork("10.0.0.0/8") else { continue }
        var proxies = AddressSet()
        precondition(request.client(behind: peer, trusting: proxies, by: header) == nil, "nobody is trusted")
        proxies.insert(all)
        _ = request.client(behind: peer, trusting: proxies, by: header)
    }
}

private struct Found: Equatable {
    var header: ProxyHeader?
    var rest: Bytes = []
    var isOther = false
    var isWrong = false
}

private func read(_ stream: Bytes, piece: Int) -> Found {
    var (decoder, place) = (ProxyDecoder(), 0)
    while place < stream.count {
        let end = min(place + piece, stream.count)
        let part = Bytes(stream[place..<end])
        do throws(WireError) {
            switch try decoder.decode(part.span) {
            case .needMore: place = end
            case .header(let header, let consumed):
                return Found(header: header, rest: Bytes(stream[(place + consumed)...]))
            case .other(let earlier):
                precondition(earlier == Bytes(stream[..<place]), "what is no header changes")
                return Found(isOther: true)
            }
        } catch { return Found(isWrong: true) }
        precondition(decoder.heldBytes <= 512, "it keeps more than a header")
    }
    return Found()
}
