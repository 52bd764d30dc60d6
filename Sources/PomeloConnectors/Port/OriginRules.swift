// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloWire

/// Which web pages may connect; a browser tells where a page is from, and shows it the answer only when it is named.
///
/// - Source: the Fetch Standard, section 3.2 (CORS protocol); RFC 6454, section 6 (serialized origins).
struct OriginRules: Sendable {
    private let allowsAll: Bool
    private let origins: [Text]

    /// `place` is where they were said, for messages.
    ///
    /// - Throws: `PomeloError` `.configuration` for what no browser sends.
    init(_ origins: [String], place: String) throws(PomeloError) {
        if let wrong = origins.first(where: { $0 != "*" && !Self.isOrigin($0) }) {
            let form = "http://host:port or https://host, without a slash behind it, or * alone for all"
            throw PomeloError(.configuration, "\(place): \(wrong.forLog) is no origin; write \(form)")
        }
        allowsAll = origins.contains("*")
        self.origins = origins.map { Text($0.lowercased()) }
    }

    /// `scheme://host`, with a port where it is not the scheme's.
    private static func isOrigin(_ text: String) -> Bool {
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty,
            !parts[1].contains(where: { "/*?# ".contains($0) })
        else { return false }
        let port = parts[1].split(separator: ":", omittingEmptySubsequences: false).last
        return parts[1].hasSuffix("]") || !parts[1].contains(":") || port.flatMap { UInt16($0) } != nil
    }

    /// Whether the request may be answered; programs name no origin.
    func allow(_ request: UpgradeRequest) -> Bool {
        guard let origin = request.values("origin").first?.lowercased() else { return true }
        if allowsAll || origins.contains(Text(origin)) { return true }
        guard let host = request.values("host").first?.lowercased() else { return false }
        return Text(origin) == Text("http://\(host)") || Text(origin) == Text("https://\(host)")
    }

    /// The headers that show a page the answer.
    func headers(for request: UpgradeRequest) -> [UpgradeRequest.Header] {
        guard let origin = request.values("origin").first, allow(request) else { return [] }
        return [
            UpgradeRequest.Header(name: "Access-Control-Allow-Origin", value: origin),
            UpgradeRequest.Header(name: "Access-Control-Allow-Credentials", value: "true"),
            UpgradeRequest.Header(name: "Vary", value: "Origin"),
        ]
    }

    /// The answer to a browser that asks beforehand.
    func preflight(_ request: UpgradeRequest, methods: String = "GET, POST, OPTIONS") -> HTTPResponse {
        var headers = headers(for: request)
        headers.append(UpgradeRequest.Header(name: "Access-Control-Allow-Methods", value: methods))
        if let asked = request.values("access-control-request-headers").first {
            headers.append(UpgradeRequest.Header(name: "Access-Control-Allow-Headers", value: asked))
        }
        headers.append(UpgradeRequest.Header(name: "Access-Control-Max-Age", value: "600"))
        return HTTPResponse(status: 204, headers: headers)
    }
}
