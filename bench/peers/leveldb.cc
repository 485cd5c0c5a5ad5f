// LevelDB in C++, as plain as can be: three puts per report, in batches of 1,000. The lines are taken apart by looking
// for the names of their fields, which is less than reading JSON.
//
//   leveldb DIRECTORY FILE WRITE_BUFFER_MIB     prints what it measured as JSON

#include <leveldb/db.h>
#include <leveldb/write_batch.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>

namespace {

std::string_view between(std::string_view line, std::string_view begin, std::string_view end) {
    size_t at = line.find(begin) + begin.size();
    return line.substr(at, line.find(end, at) - at);
}

void big_endian(std::string *out, uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(number >> shift));
}

double thread_seconds() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void check(const leveldb::Status &status) {
    if (status.ok()) return;
    std::cerr << status.ToString() << "\n";
    std::exit(1);
}

}  // namespace

int main(int, char **arguments) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = static_cast<size_t>(std::atoi(arguments[3])) << 20;
    leveldb::DB *db;
    check(leveldb::DB::Open(options, arguments[1], &db));
    std::ifstream file(arguments[2]);
    std::string line, key, value;
    leveldb::WriteBatch batch;
    uint64_t count = 0;
    double begin_cpu = thread_seconds();
    auto begin = std::chrono::steady_clock::now();
    while (std::getline(file, line)) {
        count++;
        std::string series(between(line, "\"troop\":", ","));
        series.append("/").append(between(line, "\"scout\":", ",")).append("/");
        series.append(between(line, "\"report\":\"", "\"")).append("/");
        std::string_view data = between(line, "\"data\":", ",\"t\":");
        std::string time;
        big_endian(&time, std::strtoull(between(line, ",\"t\":", "}").data(), nullptr, 10));
        key = "log/";
        big_endian(&key, count);
        batch.Put(key, line);
        value = time;
        value.append(data);
        batch.Put("last/" + series, value);
        key = "history/" + series + time;
        big_endian(&key, count);
        batch.Put(key, leveldb::Slice(data.data(), data.size()));
        if (count % 1000 == 0) {
            check(db->Write(leveldb::WriteOptions(), &batch));
            batch.Clear();
        }
    }
    check(db->Write(leveldb::WriteOptions(), &batch));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    double busy = thread_seconds() - begin_cpu;
    delete db;
    rusage used;
    getrusage(RUSAGE_SELF, &used);
    std::cout << "{\"seconds\":[" << seconds.count() << "],\"busy\":" << busy << ",\"count\":" << count
              << ",\"peak_kib\":" << used.ru_maxrss << "}\n";
}
