namespace PhoneBill.Demo;

/// <summary>The temporary directory of one run. A run that is killed cannot remove its own: the next one does.</summary>
/// <remarks>
/// Its owner holds a lock on a file in it. The lock ends with the process, however that ends, so a directory whose lock can be had is nobody's.
/// One that is to be kept has no such file.
/// </remarks>
internal sealed class RunDirectory : IDisposable
{
    private const string Prefix = "phonebill-";
    private const string LockName = "owner.lock";

    private readonly FileStream? _lock;

    private RunDirectory(string path, FileStream? ownership)
    {
        Path = path;
        _lock = ownership;
    }

    public string Path { get; }

    /// <summary>Makes a directory that only its owner may enter, after removing those of runs that were killed.</summary>
    public static RunDirectory Create(bool keep)
    {
        foreach (var stale in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), Prefix + "*"))
            RemoveIfAbandoned(stale);

        var path = Directory.CreateTempSubdirectory(Prefix).FullName;
        return new RunDirectory(path, keep ? null : Lock(path, FileMode.CreateNew));
    }

    public void Dispose()
    {
        if (_lock is null)
            return;
        Directory.Delete(Path, recursive: true);
        _lock.Dispose();
    }

    private static FileStream Lock(string directory, FileMode mode) =>
        new(System.IO.Path.Combine(directory, LockName), mode, FileAccess.ReadWrite, FileShare.None);

    private static void RemoveIfAbandoned(string directory)
    {
        try
        {
            using var ownership = Lock(directory, FileMode.Open);
            Directory.Delete(directory, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A run that goes on, a directory that was to be kept, or somebody else's: not ours to remove.
        }
    }
}
