cask "mlx-model-manager" do
  version "@VERSION@"
  sha256 "@SHA256@"

  url "https://github.com/@REPOSITORY@/releases/download/v#{version}/@IMAGE@"
  name "MLX Model Manager"
  desc "Finds, downloads and serves local language models"
  homepage "https://github.com/@REPOSITORY@"

  depends_on arch: :arm64
  depends_on macos: ">= :sonoma"

  app "MLX Model Manager.app"
  binary "#{appdir}/MLX Model Manager.app/Contents/MacOS/mlx-model-manager", target: "mlxm"

  uninstall quit:      "io.github.mlx-model-manager",
            launchctl: [
              "io.github.mlx-model-manager.app",
              "io.github.mlx-model-manager.engine",
            ]

  # Not the models: the Hugging Face cache belongs to other programs too.
  zap trash: [
    "~/Library/Application Support/MLX Model Manager",
    "~/Library/Caches/MLX Model Manager",
    "~/Library/LaunchAgents/io.github.mlx-model-manager.app.plist",
    "~/Library/LaunchAgents/io.github.mlx-model-manager.engine.plist",
    "~/Library/Logs/MLX Model Manager",
    "~/Library/Preferences/io.github.mlx-model-manager.plist",
    "~/Library/Saved Application State/io.github.mlx-model-manager.savedState",
  ]
end
