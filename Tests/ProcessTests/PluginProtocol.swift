// SPDX-License-Identifier: MIT
#if Keel
    import Foundation

    /// The examples of the plugin protocol, as its first description has them; what stands behind `//` in them is for
    /// people.
    ///
    /// - Source: tKeel, docs of the plugin mechanism, 2021.
    enum PluginProtocol {
        /// Lacks a comma.
        static let minimal = """
            {
                "ret":0,
                "msg":"ok"
                "plugin_id":"yunify-xxx", // 组织名-插件名
                "version":"1.0"
            }
            """
        static let withPoints = """
            {
                "ret":0,
                "msg":"ok",
                "plugin_id":"yunify-xxx", // 组织名-插件名
                "version":"1.0",
                "addons":[ // 插件自身的扩展点及说明 可选
                    {
                        "endpoint":"before-send-callback", // 注册到平台的扩展端点
                        "desc":"注册插件成功后调用，返回值data内数据返回给调用方"
                    },
                    {
                        "endpoint":"after-send-callback",
                        "desc":"安装插件成功后调用，返回值data内数据返回给调用方"
                    }
                ]
            }
            """
        static let withMainPlugin = """
            {
                "ret":0,
                "msg":"ok",
                "plugin_id":"yunify-xxx", // 组织名-插件名
                "version":"1.0",
                "main_plugin": [
                    {
                        "id":"plugin", // 被扩展的插件的名字
                        "version":"1.0", // 被扩展插件的版本
                        "endpoints":[
                            {
                                "addons":"beforeSendCallBack", // 扩展点名称
                                "endpoint":"/before-send-callback" // 对应实现端点名称（回调路径） 此路径必须注册到平台才能被调用
                            }
                        ]
                    }
                ]
            }
            """
        static let status = """
            {
                "ret":0,
                "msg":"ok",
                "status":"ACTIVE"
                // 状态有下列几种
                // ACTIVE   --> 正常运行
                // STARTING --> 启动中 程序正在启动
                // STOPPING --> 停止中 程序正在停止
                // FAILED   --> 错误 程序自身错误
            }
            """
        /// What the platform asks of a plugin whose point another one implements.
        static let examination = """
            {
                "plugin": {
                    "id": "ddd-xxxx", // 请求插件的插件ID
                    "version": "1.0" // 版本
                }, // 新增的插件的名称和版本
                "endpoint": [
                    {
                        "addons_point": "xxxx",
                        "endpoint": "xxxx"
                    }
                ] // 新增插件实现的端点和目标
            }
            """
        static let examined = """
            {
                "ret":0, // 通过返回值判定是否检验通过
                "msg":"ok"
            }
            """

        /// Without what is for people.
        static func plain(_ example: String) -> String {
            example.split(separator: "\n").map { line in
                line.range(of: "//").map { String(line[..<$0.lowerBound]) } ?? String(line)
            }.joined(separator: "\n")
        }
    }
#endif
