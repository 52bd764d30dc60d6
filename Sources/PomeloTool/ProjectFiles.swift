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
        let client = connector == .socketio ? resources.socketio_js_txt : resources.hybrid_js_txt
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
        if connector == .wss {
            files.append(("config/connector.json", resources.connector_json_txt))
            files.append(("certs/make.sh", resources.certificate_sh_txt))
            files.append(("certs/.gitignore", [UInt8]("*.key\n*.pem\n*.srl\n".utf8)))
        }
        return files.map { ($0, filled(String(decoding: $1, as: UTF8.self))) }
    }

    private func filled(_ text: String) -> String {
        text.replacingOccurrences(of: "$Name", with: name)
            .replacingOccurrences(of: "$package", with: name.lowercased())
            .replacingOccurrences(of: "$dependency", with: dependency)
            .replacingOccurrences(of: "$connector", with: connector.assignment)
            .replacingOccurrences(of: "$clientPort", with: connector.clientPort)
            .replacingOccurrences(of: "$scheme", with: connector.scheme)
            .replacingOccurrences(of: "$protocol", with: connector.protocolName)
            .replacingOccurrences(of: "$options", with: connector.options)
            .replacingOccurrences(of: "${certs}", with: connector == .wss ? "COPY certs certs\n" : "")
            .replacingOccurrences(of: "$note", with: connector.note)
            .replacingOccurrences(of: "$buildPackages", with: connector.packages.build)
            .replacingOccurrences(of: "$runPackages", with: connector.packages.run)
    }

    private var dependency: String {
        let isAddress = package.contains("://") || package.hasPrefix("git@")
        if isAddress { return ".package(url: \"\(package)\", branch: \"main\"\(connector.traits))" }
        let path = URL(fileURLWithPath: package).path
        return ".package(name: \"pomelo-swift\", path: \"\(path)\"\(connector.traits))"
    }
}
