// SPDX-License-Identifier: MIT
import Foundation

/// The files of a new project: those of the folder Project, with its name in them.
struct ProjectFiles {
    let name: String
    let connector: ConnectorKind
    /// The folder of pomelo-swift, or the address of its repository.
    let package: String

    /// The name of a program for a folder's: letters and digits, the first one a capital letter.
    ///
    /// - Throws: `ProjectError` for a name without letters, or one that a module of the framework has.
    static func name(_ folder: String) throws -> String {
        let parts = folder.split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        let name = parts.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        guard let first = name.first, first.isLetter else {
            throw ProjectError(text: "\"\(folder)\" gives no name for a program: it has to begin with a letter")
        }
        guard !name.hasPrefix("Pomelo"), !["Testing", "Logging", "Foundation", "Swift"].contains(name) else {
            throw ProjectError(text: "\(name) is the name of a module already: call the folder something else")
        }
        return name
    }

    /// The checkout that this program was built in.
    ///
    /// - Throws: `ProjectError` where that is gone.
    static func ownCheckout(_ file: String = #filePath) throws -> String {
        let root = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        guard FileManager.default.fileExists(atPath: root.appendingPathComponent("Package.swift").path) else {
            throw ProjectError(
                text: "--package is needed: the folder of pomelo-swift, or the address of its repository")
        }
        return root.path
    }

    /// Path and text of each.
    var all: [(path: String, text: String)] {
        let resources = PackageResources.self
        let client = connector == .hybrid ? resources.hybrid_js_txt : resources.socketio_js_txt
        var files: [(String, [UInt8])] = [
            ("Package.swift", resources.Package_swift_txt),
            ("Sources/\(name)/\(name)API.swift", resources.API_swift_txt),
            ("Sources/\(name)/Handlers.swift", resources.Handlers_swift_txt),
            ("Sources/\(name)/\(name).swift", resources.Main_swift_txt),
            ("Tests/\(name)Tests/\(name)Tests.swift", resources.Tests_swift_txt),
            ("config/servers.json", resources.servers_json_txt), ("config/master.json", resources.master_json_txt),
            ("config/redis.json", resources.redis_json_txt), ("page/index.html", resources.index_html_txt),
            ("page/pomelo.js", client), ("Dockerfile", resources.Dockerfile_txt),
            ("docker-compose.yml", resources.docker_compose_yml_txt), ("README.md", resources.README_md_txt),
            (".gitignore", resources.gitignore_txt), (".dockerignore", [UInt8](".build/\nlogs/\n".utf8)),
        ]
        if connector == .socketio { files.append(("config/socketio.json", resources.socketio_json_txt)) }
        return files.map { ($0, filled(String(decoding: $1, as: UTF8.self))) }
    }

    private func filled(_ text: String) -> String {
        text.replacingOccurrences(of: "$Name", with: name)
            .replacingOccurrences(of: "$package", with: name.lowercased())
            .replacingOccurrences(of: "$dependency", with: dependency)
            .replacingOccurrences(of: "$connector", with: call)
            .replacingOccurrences(of: "$protocol", with: connector == .hybrid ? "pomelo's protocol" : "socket.io")
            .replacingOccurrences(of: "$options", with: options)
    }

    private var dependency: String {
        let isAddress = package.contains("://") || package.hasPrefix("git@")
        if isAddress { return ".package(url: \"\(package)\", branch: \"main\")" }
        return ".package(name: \"pomelo-swift\", path: \"\(URL(fileURLWithPath: package).path)\")"
    }

    private var call: String {
        switch connector {
        case .hybrid: "HybridConnector(try app.options(HybridOptions(heartbeat: .seconds(30))))"
        case .socketio: "SocketIOConnector(try app.options(SocketIOOptions()))"
        }
    }

    private var options: String {
        connector == .hybrid
            ? "and what a file for options of your own may say" : "which pages may connect (`socketio.json`)"
    }
}
