using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Onggi.Testing;

namespace PhoneBill.EndToEnd;

/// <summary>A service as its image starts it: by a link to the program, in a folder of its own, told everything by the environment.</summary>
public sealed class ContainerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-container-");
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

    public void Dispose()
    {
        _http.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Without_Redis_it_starts_and_is_alive_and_says_that_Redis_is_down()
    {
        var port = LoopbackPorts.Free();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var service = Start(
            "Users",
            ("URLS", $"http://127.0.0.1:{port}"),
            ("Onggi__Environment", "dev"),
            ("Onggi__ConnectionString", "127.0.0.1:1"),
            ("Onggi__ConnectTimeout", "00:00:00.5"),
            ("Onggi__PersonalSecret", "a-secret-of-the-services"),
            ("PhoneBill__RedisPasswordFile", Write("password", "word\n")),
            ("Tokens__KeyFile", Write("token.pub.pem", key.ExportSubjectPublicKeyInfoPem()))
        );
        try
        {
            Assert.Equal(HttpStatusCode.OK, await AnswerAsync(service, port, "/healthz"));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await AnswerAsync(service, port, "/health"));
            // The database of who was given none lies in the folder that it was started in.
            Assert.True(File.Exists(Path.Combine(_folder.FullName, "phonebill.db")));
        }
        finally
        {
            service.Kill(entireProcessTree: true);
            await service.WaitForExitAsync();
        }
    }

    private async Task<HttpStatusCode> AnswerAsync(Process service, int port, string path)
    {
        HttpStatusCode? status = null;
        await Until.TrueAsync(
            async () =>
            {
                Assert.False(service.HasExited, "The service has ended.");
                try
                {
                    using var answer = await _http.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"));
                    status = answer.StatusCode;
                    return true;
                }
                catch (HttpRequestException)
                {
                    // It does not listen yet.
                    return false;
                }
            },
            $"{path} is answered"
        );
        return status!.Value;
    }

    private Process Start(string project, params (string Name, string Value)[] variables)
    {
        var slash = Path.DirectorySeparatorChar;
        var output = AppContext.BaseDirectory.Replace(
            $"{slash}tests{slash}PhoneBill.EndToEnd{slash}",
            $"{slash}samples{slash}PhoneBill{slash}{project}{slash}"
        );
        var link = Path.Combine(_folder.FullName, "service");
        File.CreateSymbolicLink(link, Path.Combine(output, $"PhoneBill.{project}"));
        var start = new ProcessStartInfo(link)
        {
            WorkingDirectory = _folder.FullName,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        // It cannot outlive us.
        start.Environment["PhoneBill__EndWithStandardInput"] = "true";
        // Images have .NET where the program looks for it; here it is wherever these tests run on it.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var process = Process.Start(start)!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }
}
