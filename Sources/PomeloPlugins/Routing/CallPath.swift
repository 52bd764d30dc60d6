// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloExtensions

/// What a caller wants, as the URL says; percent-encoding is left as it is.
///
/// | path | what |
/// |---|---|
/// | `/v1.0/healthz`, `/v1.0/healthz/outbound`, `/v1.0/metadata` | this process |
/// | `/v1.0/invoke/{id}/method/{path}` | a plugin |
/// | `/v1.0/invoke/keel/method/{id}/{path}`, `…/apis/{id}/{path}`, `…/{version}/{id}/{path}` | a plugin |
/// | `/v1.0/invoke/keel/method/addons/{point}`, `…/apis/addons/{point}` | who implements the caller's own point |
/// | `/v1.0/invoke/plugins/method/{verb}`, `…/rudder/…`, `…/keel/method/plugins/{verb}` | the registry |
/// | `/v1.0/invoke/keel/method/chat/v1/{verb}` | the cluster |
/// | any path with the header `dapr-app-id: {id}` | as `/v1.0/invoke/{id}/method` and the path |
///
/// Each `{id}` behind `invoke`, and the header's, may have a dot and the namespace behind it: the cluster's name.
///
/// - Source: dapr's reference of service invocation, health and metadata; tKeel for what follows `keel/method`.
enum CallPath: Equatable {
    case health
    case metadata
    /// Below the plugin's address, with the query.
    case plugin(PluginID, String)
    /// With what stands behind the point, and the query.
    case point(PointName, String)
    /// A verb, and the query.
    case registry(String, query: String)
    /// A verb with what stands behind it, and the query.
    case cluster(String, query: String)
    /// A sidecar that asks what it may subscribe to.
    case probe
    /// Another path, or one that lacks something.
    case unknown(String)

    init(_ path: String, appID: String? = nil, namespace: String) {
        guard path.hasPrefix("/") else {
            self = .unknown("a path begins with /")
            return
        }
        let (path, query) = Self.split(path)
        // What a plugin's server might make of them leads out of its path.
        guard !Self.hasDots(path) else {
            self = .unknown("a path has no segments . and ..")
            return
        }
        if let appID {
            self = Self.invoked(Self.without(namespace, appID), String(path.dropFirst()), query)
            return
        }
        switch Text(path) {
        case "/v1.0/healthz", "/v1.0/healthz/outbound": self = .health
        case "/v1.0/metadata": self = .metadata
        default:
            let prefix = "/v1.0/invoke/"
            guard path.hasPrefix(prefix) else {
                self = .unknown("nothing is served at this path")
                return
            }
            let (app, rest) = Self.head(path.dropFirst(prefix.count))
            let (method, target) = Self.head(rest)
            guard method == "method", !target.isEmpty else {
                self = .unknown("the method name is missing: /v1.0/invoke/{id}/method/{path}")
                return
            }
            self = Self.invoked(Self.without(namespace, String(app)), String(target), query)
        }
    }

    private static func hasDots(_ path: String) -> Bool {
        path.split(separator: "/").contains { part in
            part.count <= 6 && [".", ".."].contains(part.lowercased().replacing("%2e", with: "."))
        }
    }

    private static func without(_ namespace: String, _ app: String) -> String {
        app.hasSuffix("." + namespace) ? String(app.dropLast(namespace.count + 1)) : app
    }

    private static func invoked(_ app: String, _ path: String, _ query: String) -> CallPath {
        switch Text(app) {
        case "keel": return routed(path, query, mayHaveVersion: true)
        case "plugins", "rudder": return .registry(verb(path), query: query)
        default:
            guard let id = PluginID.checked(app) else { return .unknown("\(app.forLog) is no id of a plugin") }
            return .plugin(id, "/" + path + query)
        }
    }

    /// What the router is asked.
    private static func routed(_ path: String, _ query: String, mayHaveVersion: Bool) -> CallPath {
        let (first, rest) = head(path[...])
        switch Text(String(first)) {
        case "": return .unknown("a plugin's id is missing")
        case "dapr": return .probe
        case "apis": return mayHaveVersion ? routed(String(rest), query, mayHaveVersion: false) : .unknown("apis twice")
        case "plugins", "rudder": return .registry(verb(String(rest)), query: query)
        case "chat":
            let (version, verb) = head(rest)
            guard version == "v1", !verb.isEmpty else { return .unknown("the cluster serves /chat/v1/{verb}") }
            return .cluster(String(verb), query: query)
        case "addons":
            let (point, further) = head(rest)
            guard !point.isEmpty else { return .unknown("a point's name is missing") }
            return .point(PointName(String(point)), (further.isEmpty ? "" : "/" + further) + query)
        default:
            if mayHaveVersion, PluginVersion(String(first)) != nil, !rest.isEmpty {
                return routed(String(rest), query, mayHaveVersion: false)
            }
            guard let id = PluginID.checked(String(first)) else {
                return .unknown("\(String(first).forLog) is no id of a plugin")
            }
            guard !rest.isEmpty else { return .unknown("an endpoint of \(id) is missing") }
            return .plugin(id, "/" + rest + query)
        }
    }

    /// Versions of the registry's paths there were say nothing.
    private static func verb(_ path: String) -> String {
        let (first, rest) = head(path[...])
        return first == "v1" ? String(rest) : path
    }

    private static func split(_ path: String) -> (path: String, query: String) {
        guard let mark = path.firstIndex(of: "?") else { return (path, "") }
        return (String(path[..<mark]), String(path[mark...]))
    }

    private static func head(_ path: Substring) -> (Substring, Substring) {
        guard let slash = path.firstIndex(of: "/") else { return (path, "") }
        return (path[..<slash], path[path.index(after: slash)...])
    }
}
