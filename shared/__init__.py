"""What the scheduler and the workers share: words, records, storage, queue. No TensorFlow, ever."""
