// SPDX-License-Identifier: MIT

import FlyingFox
import Foundation

/// Where the browser finds the gate; the page reads it from `/config.json`.
struct Gate: Codable, Sendable {
    /// Absent: the host the page was loaded from.
    var host: String?
    var port: UInt16
}

/// Everything the process serves, read once at start and answered from memory.
struct Assets: HTTPHandler {
    struct Asset: Sendable {
        var type: String
        var body: Data
    }

    private static let files = [
        "index.html": "text/html; charset=utf-8",
        "style.css": "text/css; charset=utf-8",
        "chat.js": "text/javascript; charset=utf-8",
        "client.js": "text/javascript; charset=utf-8",
        "door.js": "text/javascript; charset=utf-8",
        "log.js": "text/javascript; charset=utf-8",
        "timers.js": "text/javascript; charset=utf-8",
        "visit.js": "text/javascript; charset=utf-8",
    ]

    /// By the bytes of their paths.
    private let assets: [[UInt8]: Asset]

    /// - Throws: when a file of the page is missing from the bundle.
    init(gate: Gate) throws {
        var assets: [[UInt8]: Asset] = [:]
        let folder = Bundle.module.bundleURL.appendingPathComponent("Page")
        for (name, type) in Self.files {
            let body = try Data(contentsOf: folder.appendingPathComponent(name))
            assets[Array("/\(name)".utf8)] = Asset(type: type, body: body)
        }
        assets[Array("/".utf8)] = assets[Array("/index.html".utf8)]
        assets[Array("/config.json".utf8)] = Asset(type: "application/json", body: try JSONEncoder().encode(gate))
        self.assets = assets
    }

    /// Answers GET and HEAD for the files of the page, 404 for other paths, 405 for other methods.
    func handleRequest(_ request: HTTPRequest) -> HTTPResponse {
        guard request.method == .GET || request.method == .HEAD else {
            let allowed: HTTPHeaders = [HTTPHeader("Allow"): "GET, HEAD"]
            return HTTPResponse(statusCode: .methodNotAllowed, headers: allowed)
        }
        guard let asset = assets[Array(request.path.utf8)] else { return HTTPResponse(statusCode: .notFound) }
        let headers: HTTPHeaders = [
            .contentType: asset.type,
            .contentLength: String(asset.body.count),
            HTTPHeader("Cache-Control"): "no-cache",
            HTTPHeader("Content-Security-Policy"): Self.policy,
            HTTPHeader("X-Content-Type-Options"): "nosniff",
        ]
        let body = request.method == .HEAD ? Data() : asset.body
        return HTTPResponse(statusCode: .ok, headers: headers, body: body)
    }

    /// Own files only; sockets go anywhere, because the gate names the connectors.
    ///
    /// The blob is the worker that keeps the page's time (see timers.js).
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        + "connect-src 'self' ws: wss:; worker-src blob:; base-uri 'none'; form-action 'none'"
}
