using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Onggi.Client;

namespace Onggi.Benchmarks;

/// <summary>Where numbers come from.</summary>
internal static class Machine
{
    /// <summary>Processors, memory and system, in one line, without the machine's name.</summary>
    public static string Describe()
    {
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Environment.ProcessorCount} × {Processor()}, {memory:0} GiB, {RuntimeInformation.OSDescription} {RuntimeInformation.OSArchitecture}"
        );
    }

    /// <summary>What took part, with its version.</summary>
    public static IReadOnlyList<(string Name, string Version)> Versions(string? redis)
    {
        List<(string, string)> versions =
        [
            (
                "onggi",
                typeof(RedisClient).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
                    ?? ""
            ),
            ("dotnet", Environment.Version.ToString()),
        ];
        if (redis is not null)
            versions.Add(("redis", redis));
        return versions;
    }

    /// <summary>The repository's root: the first folder upwards that holds the solution.</summary>
    /// <exception cref="InvalidOperationException">We do not run from inside the repository.</exception>
    public static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Onggi.slnx")))
                return folder.FullName;
        throw new InvalidOperationException("Pages are written into the repository; run ./bench from there.");
    }

    private static string Processor()
    {
        const string Info = "/proc/cpuinfo";
        var line = File.Exists(Info)
            ? File.ReadLines(Info).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
